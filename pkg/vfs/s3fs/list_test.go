package s3fs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

// A store under load said of a file that it had just listed that it is not
// there, and the file was left out of the folder.
func TestAFileThatIsListedIsShownWhateverTheStoreSaysOfItAfterwards(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden} {
		store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content := ""
			switch {
			case r.Method == http.MethodHead:
				w.WriteHeader(status)
				return
			case r.URL.Query().Get("prefix") == "home/":
				content = `<Contents><Key>home/f</Key><LastModified>2001-02-03T04:05:06.000Z</LastModified><ETag>"e"</ETag><Size>5</Size></Contents>`
			}
			w.Header().Set("Content-Type", "application/xml")
			fmt.Fprintf(w, `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>%s</ListBucketResult>`, content)
		}))
		at, err := url.Parse(store.URL)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Connect(Options{Endpoint: at, Region: "r", AccessKey: "a", SecretKey: "s", Attempts: 1, Patience: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var shown []vfs.Info
		for info, err := range s.Open("bucket", "home/").List(t.Context(), vfs.Name{}) {
			if err != nil {
				t.Errorf("%d: %v", status, err)
				break
			}
			shown = append(shown, info)
		}
		if len(shown) != 1 || shown[0].Name != "f" || shown[0].Size != 5 || shown[0].ModTime.Year() != 2001 {
			t.Errorf("%d: %+v", status, shown)
		}
		s.Close()
		store.Close()
	}
}
