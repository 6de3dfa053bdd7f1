// Package version says which version of this module this is.
package version

// Version is the version of this module.
const Version = "0.1.0-dev"
