package transport

func guardianPID(*Guardian) int { return 0 }
