//go:build !linux

package main

import (
	"context"
	"errors"
	"time"
)

const stateSize = 0

func apart(context.Context, uint64) (status int, done bool) { return 0, false }

func (h *home) mount() {}

func (h *home) resize(uint64) error { return errors.ErrUnsupported }

func (h *home) shrink(uint64) error { return errors.ErrUnsupported }

func (h *home) unmount(bool) error { return nil }

func limited(context.Context, process, int, uint64, time.Duration) error {
	return errors.ErrUnsupported
}
