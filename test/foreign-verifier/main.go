// Verifies a log of Keyward's with the libraries of Go's own checksum database. It shares no line with Keyward: whoever doubts
// Keyward's verifier reads this one, or writes another.
//
//	foreign-verifier <vkey> <folder> [<checkpoint that was kept earlier>]
//
// The folder holds `checkpoint` and `tile/entries/…` (C2SP tlog-tiles): an unpacked bundle, or what the auditor plane serves. Where the
// log's key was rotated, `keys.jsonl` says how each key follows from the one before it.
// The root is recomputed from all entries. Never with tlog.TileHashReader: before x/mod 0.40.0 it leaves tiles unauthenticated
// (CVE-2026-56865), and Debian 12 has 0.7.0.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
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
	pinned, err := newVerifier(vkey)
	if err != nil {
		return 0, err
	}
	links, err := keyLinks(filepath.Join(folder, "keys.jsonl"))
	if err != nil {
		return 0, err
	}
	known, overlaps, err := followKeys(pinned, links)
	if err != nil {
		return 0, err
	}
	former, err := formerKeys(known, links)
	if err != nil {
		return 0, err
	}
	newest, err := signedHead(known, filepath.Join(folder, "checkpoint"))
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
		kept, err := signedHead(append(former, known...), file)
		if err != nil {
			return 0, err
		}
		overlaps = append(overlaps, kept)
	}
	for _, kept := range overlaps {
		if kept.size > newest.size {
			return 0, errors.New("the checkpoint is older than the one that was kept")
		}
		if err := compare(hashes, kept); err != nil {
			return 0, err
		}
	}
	return newest.size, nil
}

// The text that one of the keys signed: origin, size, root, each on a line of its own.
func signedHead(known []note.Verifier, file string) (head, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return head{}, err
	}
	return headIn(known, text)
}

func headIn(known []note.Verifier, text []byte) (head, error) {
	signed, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return head{}, errors.New("a checkpoint has three lines")
	}
	if lines[0] != known[0].Name() {
		return head{}, errors.New("a checkpoint of another log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return head{}, errors.New("a size is a number")
	}
	root, err := hashIn(lines[2])
	if err != nil {
		return head{}, err
	}
	return head{size, root}, nil
}

func hashIn(text string) (tlog.Hash, error) {
	hash, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(hash) != tlog.HashSize {
		return tlog.Hash{}, errors.New("a hash has 32 bytes")
	}
	return tlog.Hash(*(*[tlog.HashSize]byte)(hash)), nil
}

// A line of keys.jsonl: the key, the record that names it, and that record's proof (C2SP tlog-proof).
type keyLink struct {
	VKey, Record, Proof string
}

func keyLinks(file string) ([]keyLink, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var links []keyLink
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var link keyLink
		if err := json.Unmarshal([]byte(line), &link); err != nil {
			return nil, err
		}
		links = append(links, link)
	}
	return links, nil
}

// The keys that follow from the pinned one, and the checkpoints over the records that say so.
func followKeys(pinned note.Verifier, links []keyLink) ([]note.Verifier, []head, error) {
	known := []note.Verifier{pinned}
	var overlaps []head
	for _, link := range links {
		next, _, over, err := follow(known, link)
		if isUnsigned(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		overlaps = append(overlaps, over)
		known = with(known, next)
	}
	return known, overlaps, nil
}

// The keys that the known ones replaced, back to the first. A checkpoint that was kept may be signed by one of them; the newest may not.
func formerKeys(known []note.Verifier, links []keyLink) ([]note.Verifier, error) {
	all := known
	for i := len(links) - 1; i >= 0; i-- {
		_, replaced, _, err := follow(all, links[i])
		if isUnsigned(err) || err == nil && replaced == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = with(all, replaced)
	}
	return all[len(known):], nil
}

// A link that no key that is known vouches for leads from nowhere that was trusted.
func isUnsigned(err error) bool {
	var unsigned *note.UnverifiedNoteError
	return errors.As(err, &unsigned)
}

func with(keys []note.Verifier, key note.Verifier) []note.Verifier {
	for _, one := range keys {
		if one.KeyHash() == key.KeyHash() {
			return keys
		}
	}
	return append(keys[:len(keys):len(keys)], key)
}

// What one link says: the next key, the one that it replaces if the record names it, and the checkpoint over that record.
func follow(known []note.Verifier, link keyLink) (note.Verifier, note.Verifier, head, error) {
	parts := strings.SplitN(link.Proof, "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return nil, nil, head{}, errors.New("a key is vouched for by no proof")
	}
	over, err := headIn(known, []byte(parts[1]))
	if err != nil {
		return nil, nil, head{}, err
	}
	index, err := strconv.ParseInt(lines[1][len("index "):], 10, 64)
	if err != nil {
		return nil, nil, head{}, err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := hashIn(line)
		if err != nil {
			return nil, nil, head{}, err
		}
		proof = append(proof, hash)
	}
	if err := tlog.CheckRecord(proof, over.size, over.root, index, tlog.RecordHash([]byte(link.Record))); err != nil {
		return nil, nil, head{}, err
	}
	var record struct {
		Seq         int64
		Op, Outcome string
		Change      struct{ VKey, Replaces string }
	}
	if err := json.Unmarshal([]byte(link.Record), &record); err != nil {
		return nil, nil, head{}, err
	}
	if record.Seq != index || record.Op != "RotateLogKey" || record.Outcome != "succeeded" || record.Change.VKey != link.VKey {
		return nil, nil, head{}, errors.New("a record does not name the key that it should vouch for")
	}
	next, err := keyOf(known[0].Name(), link.VKey)
	if err != nil || record.Change.Replaces == "" {
		return next, nil, over, err
	}
	replaced, err := keyOf(known[0].Name(), record.Change.Replaces)
	return next, replaced, over, err
}

func keyOf(log, vkey string) (note.Verifier, error) {
	key, err := newVerifier(vkey)
	if err == nil && key.Name() != log {
		err = errors.New("a key of another log")
	}
	return key, err
}

// What note.NewVerifier does not know: ECDSA (type 2 of C2SP signed-note), whose id is of the public key alone.
func newVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("a key is name+id+key")
	}
	typed, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(typed) < 2 || typed[0] != 2 {
		return note.NewVerifier(vkey)
	}
	key, err := x509.ParsePKIXPublicKey(typed[1:])
	if err != nil {
		return nil, err
	}
	public, isECDSA := key.(*ecdsa.PublicKey)
	id := sha256.Sum256(typed[1:])
	if !isECDSA || parts[1] != fmt.Sprintf("%x", id[:4]) {
		return nil, errors.New("not a key of ECDSA, or its id does not fit it")
	}
	return ecdsaVerifier{parts[0], binary.BigEndian.Uint32(id[:4]), public}, nil
}

type ecdsaVerifier struct {
	name string
	id   uint32
	key  *ecdsa.PublicKey
}

func (v ecdsaVerifier) Name() string    { return v.name }
func (v ecdsaVerifier) KeyHash() uint32 { return v.id }
func (v ecdsaVerifier) Verify(text, signature []byte) bool {
	digest := sha256.Sum256(text)
	return ecdsa.VerifyASN1(v.key, digest[:], signature)
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
	at, pruned, mayPrune := int64(0), int64(0), int64(0)
	keep := func(hashes []tlog.Hash, err error) error {
		stored = append(stored, hashes...)
		at++
		return err
	}
	for at < size {
		width := min(tileWidth, size-at)
		path := tilePath(at/tileWidth, width)
		if _, err := os.Stat(filepath.Join(folder, path)); errors.Is(err, os.ErrNotExist) && width == tileWidth {
			hashes, err := prunedHashes(folder, path)
			if err != nil {
				return nil, err
			}
			for _, hash := range hashes {
				if err := keep(tlog.StoredHashesForRecordHash(at, hash, reader)); err != nil {
					return nil, err
				}
			}
			pruned = at
			continue
		}
		entries, err := entriesIn(filepath.Join(folder, path), width)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if err := keep(tlog.StoredHashes(at, entry, reader)); err != nil {
				return nil, err
			}
			if below := minIndexIn(entry); below > mayPrune {
				mayPrune = below
			}
		}
	}
	if pruned > mayPrune {
		return nil, fmt.Errorf("records below %d are gone, and the log says of those below %d that they were pruned", pruned, mayPrune)
	}
	return stored, nil
}

// The hashes of a whole tile of records that are not there. Nothing else of a tile of hashes is ever read: all that stands in the log is
// hashed here.
func prunedHashes(folder, path string) ([]tlog.Hash, error) {
	tile, err := os.ReadFile(filepath.Join(folder, strings.Replace(path, "tile/entries/", "tile/0/", 1)))
	if err != nil || len(tile) != tileWidth*tlog.HashSize {
		return nil, fmt.Errorf("%s is missing, and so are its hashes", path)
	}
	hashes := make([]tlog.Hash, tileWidth)
	for i := range hashes {
		copy(hashes[i][:], tile[i*tlog.HashSize:])
	}
	return hashes, nil
}

// Up to where a record says that records were pruned.
func minIndexIn(entry []byte) int64 {
	var record struct {
		Op, Outcome string
		Change      struct{ MinIndex int64 }
	}
	if !bytes.Contains(entry, []byte("PruneRecords")) || json.Unmarshal(entry, &record) != nil {
		return 0
	}
	if record.Op != "PruneRecords" || record.Outcome != "succeeded" {
		return 0
	}
	return record.Change.MinIndex
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
