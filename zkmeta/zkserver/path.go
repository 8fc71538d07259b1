package zkserver

import "strings"

// Znodes every ZooKeeper has, which nobody may delete.
const (
	systemPath = "/zookeeper"
	quotaPath  = "/zookeeper/quota"
	configPath = "/zookeeper/config"
)

func isSystemPath(path string) bool {
	return path == "/" || path == systemPath || path == quotaPath || path == configPath
}

// parentPath is the path without its last element; "/" for the children of the root and for the root itself.
func parentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

func lastElement(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// validPath is PathUtils.validatePath: absolute, no empty, "." or ".." element, no control characters, nothing that
// takes two UTF-16 units or lies in the private and special ranges of the first plane.
func validPath(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, r := range path {
		switch {
		case r <= 0x1f, r >= 0x7f && r <= 0x9f, r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0:
			return false
		}
	}
	for element := range strings.SplitSeq(path[1:], "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

// hasParent is what is asked of a path before its last element is complete: a slash, and no byte 0.
func hasParent(path string) bool {
	return strings.Contains(path, "/") && !strings.Contains(path, "\x00")
}
