// Package page is the page that shows a node in a browser: files that ask the node's HTTP API at the
// same address. They need nothing from elsewhere, and a browser that forbids everything else
// (Content-Security-Policy: default-src 'self') shows them.
package page

import (
	"embed"
	"hash/fnv"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"sync"
)

//go:embed static
var static embed.FS

// file is one of the page's files, as it is sent.
type file struct {
	body       []byte
	kind, mark string
}

// files returns the page's files by path. They are read when the page is first asked for: most commands serve none.
var files = sync.OnceValue(func() map[string]file {
	all := map[string]file{}
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		panic(err) // the files are in the program
	}
	for _, e := range entries {
		body, err := fs.ReadFile(static, "static/"+e.Name())
		if err != nil {
			panic(err)
		}
		sum := fnv.New64a()
		sum.Write(body)
		all["/"+e.Name()] = file{body, kindOf(e.Name()), `"` + strconv.FormatUint(sum.Sum64(), 36) + `"`}
	}
	all["/"] = all["/index.html"]
	all["/favicon.ico"] = all["/icon.svg"] // what browsers ask for on pages that name none
	return all
})

// kindOf is the type of a file, whatever the machine's own tables say.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// Policy is the Content-Security-Policy of the page: it loads what comes from its own address, and
// no other page shows it in a frame.
const Policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Has reports whether the page has a file at a path, such as "/".
func Has(path string) bool {
	_, ok := files()[path]
	return ok
}

// Handler serves the files of the page. It answers GET and HEAD alone, and has no secrets: what the
// page shows, it asks of the API, which decides who may see it.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files()[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
			return
		}
		head := w.Header()
		head.Set("Content-Type", f.kind)
		head.Set("Content-Security-Policy", Policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-cache")
		head.Set("ETag", f.mark)
		if r.Header.Get("If-None-Match") == f.mark {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		head.Set("Content-Length", strconv.Itoa(len(f.body)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(f.body) // an error means that the browser has gone
		}
	})
}
