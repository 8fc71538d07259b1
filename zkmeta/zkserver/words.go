package zkserver

func isWord(w string) bool { return w == "ruok" }

func (l *loop) answer(word string) string { return "imok" }
