package store

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// combining is the name of the VFS, SQLite's layer above the file system, that
// the committer's connection uses. It differs from the usual one in one thing:
// writes to the write-ahead log that follow one another are gathered in memory
// and written together when SQLite flushes them.
//
// SQLite writes a transaction to its log in two small writes for every page. An
// append changes about three pages, which with 64 writers made ten system calls
// for each entry; 80 pages take 560 µs to write so, and 30 µs together. Without
// this, an append costs 10 % more processor time, with one writer as with 1,024
// (BenchmarkWriters), and three times the system calls.
//
// What is promised does not change. SQLite tells nobody of a transaction, not
// even readers in this process, before the flush has returned (sqlite3WalFrames
// in wal.c, with synchronous=FULL), and the flush writes first what was
// gathered, so an error of either fails the commit.
const combining = "imprimatur-combining"

// A combiner gathers the writes to one file.
type combiner struct {
	buffer uintptr // combinerSize bytes that are not Go's to move or to free
	offset int64   // in the file, of the first byte gathered
	length int     // bytes gathered
}

// combinerSize is the most that the usual VFS writes at once (seekAndWriteFd in
// os_unix.c keeps 17 bits of the length), some 31 pages.
const combinerSize = 1<<17 - 1

var (
	usualVFS     *sqlite3.Tsqlite3_vfs
	usualMethods sqlite3.Tsqlite3_io_methods // of a file
	vfs          sqlite3.Tsqlite3_vfs
	methods      sqlite3.Tsqlite3_io_methods
	vfsName      = append([]byte(combining), 0)

	combinersMu sync.Mutex
	combiners   = map[uintptr]*combiner{} // by SQLite's file handle
)

// registerCombining makes the VFS known to SQLite.
var registerCombining = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	usualVFS = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	vfs = *usualVFS
	vfs.FzName = uintptr(unsafe.Pointer(&vfsName[0]))
	vfs.FxOpen = pointer(combineOpen)
	sqlite3.Xsqlite3_vfs_register(tls, uintptr(unsafe.Pointer(&vfs)), 0)
})

// at reads an address as what SQLite keeps there.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer and function convert between Go's functions and the addresses that
// SQLite calls, as the translated SQLite does.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

func function[F any](address uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{address}))
}

func combineOpen(tls *libc.TLS, _, name, file uintptr, flags int32, outFlags uintptr) int32 {
	open := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](usualVFS.FxOpen)
	rc := open(tls, uintptr(unsafe.Pointer(usualVFS)), name, file, flags, outFlags)
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	buffer := libc.Xmalloc(tls, combinerSize)
	if buffer == 0 {
		return rc // uncombined
	}
	combinersMu.Lock()
	defer combinersMu.Unlock()
	if usualMethods.FxWrite == 0 {
		usualMethods = *at[sqlite3.Tsqlite3_io_methods](at[sqlite3.Tsqlite3_file](file).FpMethods)
		methods = usualMethods
		methods.FxWrite = pointer(combineWrite)
		methods.FxRead = pointer(combineRead)
		methods.FxSync = pointer(combineSync)
		methods.FxTruncate = pointer(combineTruncate)
		methods.FxFileSize = pointer(combineFileSize)
		methods.FxClose = pointer(combineClose)
	}
	combiners[file] = &combiner{buffer: buffer}
	at[sqlite3.Tsqlite3_file](file).FpMethods = uintptr(unsafe.Pointer(&methods))
	return rc
}

func combinerOf(file uintptr) *combiner {
	combinersMu.Lock()
	defer combinersMu.Unlock()
	return combiners[file]
}

func write(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](usualMethods.FxWrite)(tls, file, data, n, offset)
}

// flush writes what was gathered. What could not be written is dropped: the
// transaction that it belongs to fails.
func (c *combiner) flush(tls *libc.TLS, file uintptr) int32 {
	if c.length == 0 {
		return sqlite3.SQLITE_OK
	}
	n := int32(c.length)
	c.length = 0
	return write(tls, file, c.buffer, n, c.offset)
}

func combineWrite(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	c := combinerOf(file)
	if offset != c.offset+int64(c.length) || c.length+int(n) > combinerSize {
		if rc := c.flush(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
		c.offset = offset
	}
	if n > combinerSize {
		return write(tls, file, data, n, offset)
	}
	copy(unsafe.Slice(at[byte](c.buffer), combinerSize)[c.length:], unsafe.Slice(at[byte](data), n))
	c.length += int(n)
	return sqlite3.SQLITE_OK
}

func combineRead(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
	if rc := combinerOf(file).flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](usualMethods.FxRead)(tls, file, data, n, offset)
}

func combineSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	if rc := combinerOf(file).flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(*libc.TLS, uintptr, int32) int32](usualMethods.FxSync)(tls, file, flags)
}

func combineTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	if rc := combinerOf(file).flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(*libc.TLS, uintptr, int64) int32](usualMethods.FxTruncate)(tls, file, size)
}

func combineFileSize(tls *libc.TLS, file, size uintptr) int32 {
	if rc := combinerOf(file).flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(*libc.TLS, uintptr, uintptr) int32](usualMethods.FxFileSize)(tls, file, size)
}

func combineClose(tls *libc.TLS, file uintptr) int32 {
	c := combinerOf(file)
	rc := c.flush(tls, file)
	combinersMu.Lock()
	delete(combiners, file)
	combinersMu.Unlock()
	libc.Xfree(tls, c.buffer)
	return max(rc, function[func(*libc.TLS, uintptr) int32](usualMethods.FxClose)(tls, file))
}
