package inspect

// A node id is 26 hexadecimal digits in full and its first 16 when printed. A public key is 64.
const (
	fullKey = 64
	fullID  = 26
	shortID = 16
)

// ShortName returns an actor's name as it is printed, with a node id in it shortened to
// its first 16 digits. Every handler that takes a path accepts such names in it.
func ShortName(name string) string {
	if id, rest, ok := cutNodeID(name); ok {
		return id[:shortID] + rest
	}
	return name
}

// cutNodeID splits a name that is a node id, or begins with one and a dash.
func cutNodeID(name string) (id, rest string, ok bool) {
	if len(name) < fullID || (len(name) > fullID && name[fullID] != '-') {
		return "", "", false
	}
	for i := range fullID {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", "", false
		}
	}
	return name[:fullID], name[fullID:], true
}

// labelsOf returns the labels that an actor's kind and name contain.
func labelsOf(kind, name string) *Labels {
	id, rest, ok := cutNodeID(name)
	if !ok {
		return nil
	}
	l := &Labels{Peer: id}
	if kind == "conn" && rest != "" {
		l.Conn = name
	}
	return l
}
