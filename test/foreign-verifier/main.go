// Verifies a log of Keyward's with the libraries of Go's own checksum database. It shares no line with Keyward: whoever doubts
// Keyward's verifier reads this one, or writes another.
//
//	foreign-verifier <vkey> <folder> [<checkpoint that was kept earlier>]
//
// The folder holds `checkpoint` and `tile/entries/…` (C2SP tlog-tiles): an unpacked bundle, or what the auditor plane serves.
// The root is recomputed from all entries. Never with tlog.TileHashReader: before x/mod 0.40.0 it leaves tiles unauthenticated
// (CVE-2026-56865), and Debian 12 has 0.7.0.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileWidth      = 256
	maxRecordBytes = 8192
)

type head struct {
	size int64
	root tlog.Hash
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: foreign-verifier <vkey> <folder> [<earlier checkpoint>]")
		os.Exit(2)
	}
	size, err := verify(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(6)
	}
	fmt.Println("OK:", size, "records")
}

func verify(vkey, folder string, earlier []string) (int64, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, err
	}
	newest, err := signedHead(verifier, filepath.Join(folder, "checkpoint"))
	if err != nil {
		return 0, err
	}
	hashes, err := storedHashes(folder, newest.size)
	if err != nil {
		return 0, err
	}
	if err := compare(hashes, newest); err != nil {
		return 0, err
	}
	for _, file := range earlier {
		kept, err := signedHead(verifier, file)
		if err != nil {
			return 0, err
		}
		if kept.size > newest.size {
			return 0, errors.New("the checkpoint is older than the one that was kept")
		}
		if err := compare(hashes, kept); err != nil {
			return 0, err
		}
	}
	return newest.size, nil
}

// The text that the key signed: origin, size, root, each on a line of its own.
func signedHead(verifier note.Verifier, file string) (head, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return head{}, err
	}
	signed, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return head{}, errors.New("a checkpoint has three lines")
	}
	if lines[0] != verifier.Name() {
		return head{}, errors.New("a checkpoint of another log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return head{}, errors.New("a size is a number")
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return head{}, errors.New("a root has 32 bytes")
	}
	return head{size, tlog.Hash(*(*[tlog.HashSize]byte)(root))}, nil
}

func storedHashes(folder string, size int64) ([]tlog.Hash, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	for at := int64(0); at < size; {
		width := min(tileWidth, size-at)
		entries, err := entriesIn(filepath.Join(folder, tilePath(at/tileWidth, width)), width)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			hashes, err := tlog.StoredHashes(at, entry, reader)
			if err != nil {
				return nil, err
			}
			stored = append(stored, hashes...)
			at++
		}
	}
	return stored, nil
}

// Each entry stands behind its length in two bytes.
func entriesIn(file string, width int64) ([][]byte, error) {
	tile, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(tile) > 0 {
		if len(tile) < 2 || len(tile)-2 < int(binary.BigEndian.Uint16(tile)) {
			return nil, fmt.Errorf("%s ends within an entry", file)
		}
		end := 2 + int(binary.BigEndian.Uint16(tile))
		if end-2 > maxRecordBytes {
			return nil, fmt.Errorf("%s has an entry that is no record: %d bytes", file, end-2)
		}
		entries = append(entries, tile[2:end])
		tile = tile[end:]
	}
	if int64(len(entries)) != width {
		return nil, fmt.Errorf("%s has %d entries", file, len(entries))
	}
	return entries, nil
}

// N in groups of three digits, all but the last with an x before; .p/W for a tile that is not full.
func tilePath(index, width int64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for rest := index / 1000; rest > 0; rest /= 1000 {
		path = fmt.Sprintf("x%03d/%s", rest%1000, path)
	}
	if width < tileWidth {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return "tile/entries/" + path
}

func compare(stored []tlog.Hash, claimed head) error {
	if claimed.size == 0 {
		return nil
	}
	root, err := tlog.TreeHash(claimed.size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	}))
	if err != nil {
		return err
	}
	if root != claimed.root {
		return fmt.Errorf("root mismatch at size %d", claimed.size)
	}
	return nil
}

// Go 1.19 has none.
func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
