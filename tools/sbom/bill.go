package main

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bill returns the bill of materials of a program. It has no serial number, which would be
// another one each time.
func bill(info *debug.BuildInfo) *cdx.BOM {
	b := cdx.NewBOM()
	b.SerialNumber = ""
	main := component(&info.Main)
	main.Type = cdx.ComponentTypeApplication
	b.Metadata = &cdx.Metadata{Component: &main}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			b.Metadata.Timestamp = s.Value
		}
	}
	toolchain := strings.TrimPrefix(info.GoVersion, "go")
	list := []cdx.Component{{
		BOMRef: "pkg:golang/std@" + toolchain, Type: cdx.ComponentTypeLibrary, Name: "std", Version: toolchain,
		PackageURL: "pkg:golang/std@" + toolchain,
	}}
	for _, m := range info.Deps {
		list = append(list, component(m))
	}
	slices.SortFunc(list, func(x, y cdx.Component) int { return cmp.Compare(x.BOMRef, y.BOMRef) })
	b.Components = &list
	return b
}

// component describes a module, or what replaces it.
func component(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	url := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	c := cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: url}
	// The sum of go.sum: the SHA-256 of the names and sums of the module's files.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == 32 {
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}
	return c
}
