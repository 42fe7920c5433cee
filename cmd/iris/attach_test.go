package main

import "testing"

func TestKindOfAFile(t *testing.T) {
	for _, c := range []struct{ data, kind, media string }{
		{"\x89PNG\r\n\x1a\n....", "image", "image/png"},
		{"\xff\xd8\xff\xe0....", "image", "image/jpeg"},
		{"GIF89a....", "image", "image/gif"},
		{"RIFF\x10\x00\x00\x00WEBPVP8 ", "image", "image/webp"},
		{"RIFF\x10\x00\x00\x00WAVEfmt ", "", ""},
		{"%PDF-1.7\n\xff\xfe", "document", "application/pdf"},
		{"Grüße\n", "text", ""},
		{"a\x00b", "", ""},
		{"\xff\xfea\x00", "", ""},
	} {
		if kind, media := kindOf([]byte(c.data)); kind != c.kind || media != c.media {
			t.Errorf("%q: got %q %q, want %q %q", c.data, kind, media, c.kind, c.media)
		}
	}
}
