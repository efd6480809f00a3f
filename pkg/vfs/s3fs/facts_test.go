//go:build interop

package s3fs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// Times and hashes: what an object carries, what lies beside it, and what
// this process has seen.

// long is a file that is stored in two pieces.
func long(seed byte) []byte { return bytes.Repeat([]byte{seed, 1, 2, 3}, 9<<18) }

func store(t *testing.T, tree *FS, path string, how vfs.How, content []byte) {
	t.Helper()
	u, err := tree.Create(t.Context(), named(t, path), how)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort()
	if _, err := u.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// hashes fails the test where a file's hash is not told without reading it,
// or is another.
func hashes(t *testing.T, tree *FS, path string, content []byte) {
	t.Helper()
	want := sha256.Sum256(content)
	sum, n, err := tree.Sum(t.Context(), named(t, path), "SHA-256")
	if err != nil || n != int64(len(content)) || !bytes.Equal(sum, want[:]) {
		t.Errorf("the hash of %s: %x of %d bytes, %v; want %x of %d", path, sum, n, err, want, len(content))
	}
}

// HASH of a file in pieces read all of it again from the store.
func TestTheHashOfAFileInPiecesLiesBesideItAndGoesWithIt(t *testing.T) {
	tree := fresh(t)
	anew := func() *FS { return connect(t).Open(tree.bucket, tree.prefix) } // a server that has seen nothing
	facts := func() (n int) {
		for o := range tree.objects(t.Context(), tree.prefix, listing{all: true}) {
			if isFact(o.Key) {
				n++
			}
		}
		return n
	}
	first, second := long(1), long(2)
	store(t, tree, "/f", vfs.How{Size: -1}, first)
	hashes(t, tree, "/f", first)
	hashes(t, anew(), "/f", first)
	store(t, tree, "/f", vfs.How{Size: -1}, second)
	hashes(t, anew(), "/f", second)
	if n := facts(); n != 1 {
		t.Errorf("%d hashes lie there for one file", n)
	}
	for _, move := range [][2]string{{"/f", "/g"}, {"/d", "/e"}} {
		if move[0] == "/d" {
			if err := tree.Mkdir(t.Context(), named(t, "/d")); err != nil {
				t.Fatal(err)
			}
			if err := tree.Rename(t.Context(), named(t, "/g"), named(t, "/d/g")); err != nil {
				t.Fatal(err)
			}
		}
		if err := tree.Rename(t.Context(), named(t, move[0]), named(t, move[1])); err != nil {
			t.Fatal(err)
		}
	}
	hashes(t, anew(), "/e/g", second)
	// What is written behind it makes it another file.
	store(t, tree, "/e/g", vfs.How{Size: -1, Append: true}, []byte("more"))
	if sum, _, err := tree.Sum(t.Context(), named(t, "/e/g"), "SHA-256"); err == nil && !bytes.Equal(sum, hashOf(append(second, "more"...))) {
		t.Errorf("a hash from before: %x", sum)
	}
	if err := tree.Remove(t.Context(), named(t, "/e/g")); err != nil {
		t.Fatal(err)
	}
	if n := facts(); n != 0 {
		t.Errorf("%d times and hashes outlive their file", n)
	}
}

func hashOf(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}

// What another program stored has no hash until it was read once, and then
// the one of what was read, as long as it is the same.
func TestAFileOfAnotherProgramIsHashedWhileItIsRead(t *testing.T) {
	tree := fresh(t)
	put := func(content []byte) {
		t.Helper()
		id, err := tree.store.core.NewMultipartUpload(t.Context(), tree.bucket, tree.prefix+"f", minio.PutObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var parts []minio.CompletePart
		for i, piece := range [][]byte{content[:minPart], content[minPart:]} {
			p, err := tree.store.core.PutObjectPart(t.Context(), tree.bucket, tree.prefix+"f", id, i+1, bytes.NewReader(piece), int64(len(piece)), minio.PutObjectPartOptions{})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: p.ETag})
		}
		if _, err := tree.store.core.CompleteMultipartUpload(t.Context(), tree.bucket, tree.prefix+"f", id, parts, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := long(3), long(4)
	put(first)
	if _, _, err := tree.Sum(t.Context(), named(t, "/f"), "SHA-256"); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("unread: %v", err)
	}
	file, err := tree.Open(t.Context(), named(t, "/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// Not from front to back, and then so.
	if _, err := file.ReadAt(make([]byte, 100), minPart); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, first) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	hashes(t, tree, "/f", first)
	put(second)
	tree.store.seen.forget(tree.at(tree.prefix + "f")) // as a moment later
	if _, _, err := tree.Sum(t.Context(), named(t, "/f"), "SHA-256"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the hash of what was there before: %v", err)
	}
}

// Times that rclone and others store with an object are those of its file.
func TestTheTimeThatAnotherProgramStoredIsTheFiles(t *testing.T) {
	tree := fresh(t)
	for text, want := range map[string]time.Time{
		"1700000000.25": time.Unix(1700000000, 250_000_000), "1700000000": time.Unix(1700000000, 0), "soon": {},
	} {
		opts := minio.PutObjectOptions{UserMetadata: map[string]string{"mtime": text}}
		if _, err := tree.store.core.PutObject(t.Context(), tree.bucket, tree.prefix+text, bytes.NewReader(nil), 0, "", "", opts); err != nil {
			t.Fatal(err)
		}
		info, err := tree.Stat(t.Context(), named(t, "/"+text))
		if err != nil || !want.IsZero() && !info.ModTime.Equal(want) || want.IsZero() && time.Since(info.ModTime) > time.Hour {
			t.Errorf("%s: %v, %v", text, info.ModTime, err)
		}
		for listed, err := range tree.List(t.Context(), vfs.Name{}) {
			if err != nil || listed.Name == text && listed.ModTime.Truncate(time.Second) != info.ModTime.Truncate(time.Second) {
				t.Errorf("%s listed: %v, %v", text, listed.ModTime, err)
			}
		}
	}
}
