package artifact

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// benchFolder holds four files of 64 MiB, or of 1 GiB with IMPRIMATUR_LONG=1, that the page cache holds.
func benchFolder(b *testing.B) (string, int64) {
	b.Helper()
	size := int64(64 << 20)
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		size = 1 << 30
	}
	dir, block := b.TempDir(), make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for n := range 4 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("model-%d.safetensors", n)))
		if err != nil {
			b.Fatal(err)
		}
		for written := int64(0); written < size; written += int64(len(block)) {
			if _, err := f.Write(block); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return dir, 4 * size
}

// inMemory hashes total bytes that never leave the cache, on all cores, and returns bytes per second.
func inMemory(total int64) float64 {
	cores := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	start := time.Now()
	for range cores {
		group.Go(func() {
			h, block := sha256.New(), make([]byte, readSize)
			for done := int64(0); done < total/int64(cores); done += readSize {
				h.Write(block)
			}
		})
	}
	group.Wait()
	return float64(total) / time.Since(start).Seconds()
}

// BenchmarkDigest reports the speed over the speed of hashing memory on all cores, measured in turns with it, and the
// growth of the process while it runs. The goals are a ratio of 0.9 and 64 MiB.
func BenchmarkDigest(b *testing.B) {
	dir, total := benchFolder(b)
	b.SetBytes(total)
	var memory, disk time.Duration
	before, peak := resident(b), int64(0)
	for b.Loop() {
		b.StopTimer()
		start := time.Now()
		inMemory(total)
		memory += time.Since(start)
		stop := watch(b, &peak)
		b.StartTimer()
		start = time.Now()
		if _, err := Digest(context.Background(), dir, Options{}); err != nil {
			b.Fatal(err)
		}
		disk += time.Since(start)
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(memory.Seconds()/disk.Seconds(), "of-memory-speed")
	b.ReportMetric(float64(peak-before)/(1<<20), "MiB-growth")
}

// watch keeps the largest resident size seen until it is stopped.
func watch(b *testing.B, peak *int64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				*peak = max(*peak, resident(b))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// resident is the process's memory in bytes, mapped files included; 0 where the system does not tell.
func resident(b *testing.B) int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if os.IsNotExist(err) {
		return 0
	}
	var size, pages int64
	if _, scanErr := fmt.Sscan(string(data), &size, &pages); err != nil || scanErr != nil {
		b.Error(err, scanErr)
	}
	return pages * int64(os.Getpagesize())
}
