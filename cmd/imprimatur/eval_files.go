package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"imprimatur.dev/evidence"
)

// openEvidence opens files, and the files of folders, for reading.
func (a *app) openEvidence(paths []string) (files []evidence.File, done func(), err error) {
	var opened []*os.File
	done = func() {
		for _, f := range opened {
			_ = f.Close() // it was only read
		}
	}
	for _, path := range paths {
		found, err := filesAt(path)
		if err != nil {
			done()
			return nil, nil, err
		}
		for _, f := range found {
			in, err := os.Open(f.path)
			if err != nil {
				done()
				return nil, nil, cannotRead(f.path, err)
			}
			opened = append(opened, in)
			info, err := in.Stat()
			if err != nil {
				done()
				return nil, nil, cannotRead(f.path, err)
			}
			files = append(files, evidence.File{Name: f.name, Size: info.Size(), ReaderAt: in})
		}
	}
	return files, done, nil
}

func cannotRead(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot read the evidence %s: %w", path, err)
}

// evidenceAt is a file with the name under which it is kept.
type evidenceAt struct{ path, name string }

// filesAt returns a file, or the files of a folder in the order of their names,
// which are relative to the folder. What is neither a file nor a folder is
// refused: a link says nothing of what it will point to tomorrow.
func filesAt(path string) (out []evidenceAt, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil, wrongf("%s is %s, not a file; give the file itself", path, whatIs(info.Mode()))
		}
		return []evidenceAt{{path, filepath.Base(path)}}, nil
	}
	err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return cannotRead(at, err)
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			return wrongf("%s is %s, not a file; copy the file itself into the folder", at, whatIs(d.Type()))
		}
		name, err := filepath.Rel(path, at)
		out = append(out, evidenceAt{at, filepath.ToSlash(name)})
		return err
	})
	if err == nil && len(out) == 0 {
		err = wrongf("the folder %s holds no file", path)
	}
	return out, err
}

func whatIs(m fs.FileMode) string {
	if m&fs.ModeSymlink != 0 {
		return "a symbolic link"
	}
	return "a device, socket or pipe"
}
