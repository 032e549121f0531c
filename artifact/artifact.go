// Package artifact reads the bytes of a model: one file or a folder of files. It names them by digest, checks them
// against a manifest, and tells from their content, never from their name, whether loading them would run code.
//
// # Manifest and digest
//
// A [Manifest] lists every file with its size and SHA-256, sorted by the code points of its path. Paths are relative,
// with "/" between the parts. A model that is a single file has the one path ".", so its digest does not depend on
// what the file is called.
//
// The digest of a model, file or folder alike, is "sha256:" and the lower-case hexadecimal SHA-256 of the RFC 8785 JSON
//
//	{"files":[{"path":"...","sha256":"<64 hex digits>","size":<bytes>},...]}
//
// One rule for both keeps a file whose content happens to be such a JSON text from passing for the folder it describes.
// [Manifest.Root] is the digest that OpenSSF Model Signing computes for the same files; it is an alias only, because
// other implementations order files differently and so reach another root.
//
// # What a folder may hold
//
// Regular files and folders with UTF-8 names, at least one file. A symbolic link, a device or a socket is refused by
// name, and every file is opened below the folder with os.Root, so that no path can lead out of it. At the top level,
// .git, .gitattributes, .github, .gitignore and the signature file model.sig are left out, and the manifest lists
// which of them were there. Folders without files leave no trace in the manifest.
//
// # Reading
//
// Files are hashed on all cores, one core for each file, the largest first, by reads of half a mebibyte: the size that
// still fits the second-level cache. On two cores with SHA-256 instructions that gives 0.91 to 0.93 of the speed of hashing memory
// (BenchmarkDigest reports the ratio). Mapping the files gave 0.93 to 0.97, but a mapped file that somebody cuts short
// makes the process fault; four hundredths are a fair price for an ordinary error. A file whose size or modification
// time is not the same after hashing is refused with [ErrChanged].
//
// [Read] does the same with files that are kept elsewhere and come as streams.
package artifact
