package claude

func playDaemon() {}
func playReaper() {}
