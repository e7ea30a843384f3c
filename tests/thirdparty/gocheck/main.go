// gocheck checks a log's files with golang.org/x/mod/sumdb, which knows nothing of wattproof:
//
//	gocheck checkpoint  LOG.VKEY CHECKPOINT
//	gocheck inclusion   LOG.VKEY RECEIPT.TLOG-PROOF RECEIPT.JWS
//	gocheck consistency LOG.VKEY OLD.CHECKPOINT CONSISTENCY
//
// Only the reading of the files is written here: signatures are checked by sumdb/note, proofs by sumdb/tlog.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tree struct {
	size int64
	root tlog.Hash
}

func main() {
	if len(os.Args) < 4 {
		fail(errors.New("usage: gocheck checkpoint|inclusion|consistency LOG.VKEY FILE [FILE]"))
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(read(os.Args[2])))
	fail(err)
	switch args := os.Args[3:]; os.Args[1] {
	case "checkpoint":
		found := open(verifier, read(args[0]))
		fmt.Printf("checkpoint OK: %d entries under %s\n", found.size, found.root)
	case "inclusion":
		index, hashes, checkpoint := proof(read(args[0]), "c2sp.org/tlog-proof@v1\nindex ")
		found, entry := open(verifier, checkpoint), sha256.Sum256([]byte(read(args[1])))
		fail(tlog.CheckRecord(hashes, found.size, found.root, index, tlog.RecordHash(entry[:])))
		fmt.Printf("inclusion OK: entry %d of %d\n", index, found.size)
	case "consistency":
		old := open(verifier, read(args[0]))
		size, hashes, checkpoint := proof(read(args[1]), "old ")
		found := open(verifier, checkpoint)
		if size != old.size {
			fail(fmt.Errorf("the proof starts at %d entries, the old checkpoint at %d", size, old.size))
		}
		fail(tlog.CheckTree(hashes, found.size, found.root, old.size, old.root))
		fmt.Printf("consistency OK: %d entries are the first of %d\n", old.size, found.size)
	default:
		fail(fmt.Errorf("unknown check %q", os.Args[1]))
	}
}

// open checks the signature of a checkpoint, whose first line must be the name of the key.
func open(verifier note.Verifier, signed string) tree {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	fail(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		fail(errors.New("not a checkpoint of this log"))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	fail(err)
	root, err := tlog.ParseHash(lines[2])
	fail(err)
	return tree{size, root}
}

// proof splits a file into the number after prefix, a hash per line, and the checkpoint after an empty line.
func proof(text, prefix string) (int64, []tlog.Hash, string) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	if !found || !strings.HasPrefix(head, prefix) {
		fail(fmt.Errorf("the file does not start with %q", prefix))
	}
	lines := strings.Split(strings.TrimPrefix(head, prefix), "\n")
	number, err := strconv.ParseInt(lines[0], 10, 64)
	fail(err)
	var hashes []tlog.Hash
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		fail(err)
		hashes = append(hashes, hash)
	}
	return number, hashes, checkpoint
}

func read(path string) string {
	data, err := os.ReadFile(path)
	fail(err)
	return string(data)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}
