//go:build !unix

package datadir

import "io/fs"

// NoFollow is 0 here: on this system users without rights cannot make links.
const NoFollow = 0

// NonBlock is 0 here.
const NonBlock = 0

// OwnerOf returns false: this system has no ids of users and groups.
func OwnerOf(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }
