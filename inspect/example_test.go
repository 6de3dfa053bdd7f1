package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// A section of one's own stands beside those of the node.
func ExampleSections() {
	var sections inspect.Sections
	sections.Section("weather", func(context.Context) any { return map[string]int{"degrees": 21} })
	h := inspect.Handler(inspect.Options{Sections: &sections})

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/v1/sections/weather", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"degrees":21}
}

// In a test a request names localhost: others are refused, as those of a web page would be.
func ExampleHandler() {
	h := inspect.Handler(inspect.Options{})
	for _, url := range []string{"http://localhost/v1", "/v1"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Println(url, w.Code)
	}

	s := httptest.NewServer(h)
	defer s.Close()
	if r, err := s.Client().Get(s.URL + "/v1"); err == nil {
		r.Body.Close()
		fmt.Println("a server", r.StatusCode)
	}
	// Output:
	// http://localhost/v1 200
	// /v1 403
	// a server 200
}
