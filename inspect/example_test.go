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
