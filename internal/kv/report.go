package kv

// Schema is the version of the layout that this package writes. A store of a
// newer schema is refused untouched; one of an older schema is copied and upgraded.
//
//   - 1: the entries and the schema.
//   - 2: the guard and the witness.
//   - 3: records of peers may say where they came from; bulk entries are not guarded.
const Schema = 3

// Report describes the store in a directory and what opening it will do.
type Report struct {
	Exists  bool
	Schema  int    // of the store; 0: none yet
	Entries int    // all keys but those of bulk entries
	Bytes   int64  // of all files
	Upgrade bool   // opening upgrades the store
	Backup  string // directory of the copy that is made before
}
