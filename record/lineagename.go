package record

import (
	"strings"
)

// LineageName is the name of a dataset or a job in OpenLineage: a namespace, which
// for a dataset is its data source, and a name in it (spec/Naming.md).
type LineageName struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns the two as one URI, as people write a source.
func (n LineageName) String() string {
	switch scheme, _, _ := strings.Cut(n.Namespace, ":"); {
	case n.Namespace == "":
		return n.Name
	case scheme == "arn", n.Namespace == scheme && scheme != "file":
		return n.Namespace + ":" + n.Name
	case n.Namespace == "file":
		return "file://" + n.Name
	}
	return strings.TrimRight(n.Namespace, "/") + "/" + strings.TrimLeft(n.Name, "/")
}

// Canonical returns the one spelling under which a dataset's name is compared:
// producers write s3a for s3, leave out default ports, and begin and end paths
// with a slash or not. A name of no known form is returned as it is.
func (n LineageName) Canonical() LineageName {
	if c, ok := LineageNameOf(n.String()); ok {
		return c
	}
	return n
}

// KeyDatasetSource finds the datasets that are registered with a source, given by
// its canonical name.
func KeyDatasetSource(n LineageName) string {
	return "dataset-source/" + strings.TrimPrefix(lineageKey("", NodeDataset(n)), "lineage//dataset:")
}

// sameScheme are the schemes that mean another one.
var sameScheme = map[string]string{
	"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "wasb": "wasbs", "postgresql": "postgres", "mssql": "sqlserver",
}

// tables are the schemes whose names are dotted, as in database.schema.table,
// with the port that is meant where none is written.
var tables = map[string]string{
	"postgres": "5432", "mysql": "3306", "redshift": "5439", "sqlserver": "1433", "oracle": "1521", "cassandra": "9042", "trino": "8080",
	"snowflake": "", "bigquery": "", "awsathena": "", "unitycatalog": "", "teradata": "1025", "db2": "50000", "clickhouse": "8123", "hive": "10000",
}

// LineageNameOf returns the canonical name of the dataset at a URI by OpenLineage's
// naming rules, and whether the URI says enough to name one:
//
//	s3://bucket/key                       s3://bucket             key
//	gs://bucket/key                       gs://bucket             key
//	abfss://container@service/path        abfss://container@service  path
//	hdfs://host:port/path                 hdfs://host:port        path
//	file:///path, /path                   file                    /path
//	postgres://host/db.schema.table       postgres://host:5432    db.schema.table
//	postgres://user@host:1/db/schema/table  postgres://host:1     db.schema.table
//	snowflake://org-account/db.schema.table  snowflake://org-account  db.schema.table
//	bigquery:project.dataset.table        bigquery                project.dataset.table
//	kafka://host:port/topic               kafka://host:port       topic
//	arn:aws:glue:region:account:table/db/table  arn:aws:glue:region:account  table/db/table
//
// Any other URI with an authority is named like a file in a store.
func LineageNameOf(uri string) (LineageName, bool) {
	if strings.HasPrefix(uri, "/") && !strings.HasPrefix(uri, "//") {
		uri = "file:" + uri
	}
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" || rest == "" {
		return LineageName{}, false
	}
	scheme = strings.ToLower(scheme)
	if same, ok := sameScheme[scheme]; ok {
		scheme = same
	}
	authority, path := "", rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		authority, path, _ = strings.Cut(after, "/")
		path = "/" + path
	}
	port, dotted := tables[scheme]
	switch {
	case scheme == "arn":
		return arn(uri)
	case scheme == "file":
		return fileName(authority, path)
	case scheme == "bigquery":
		return table(scheme, strings.Trim(authority+path, "/"))
	case authority == "":
		return LineageName{}, false
	case dotted:
		return table(scheme+"://"+host(authority, port), path)
	case scheme != "abfss" && scheme != "wasbs":
		authority = host(authority, map[string]string{"kafka": "9092"}[scheme])
	}
	n := LineageName{scheme + "://" + strings.ToLower(authority), strings.Trim(path, "/")}
	if n.Name == "" {
		n.Name = "/"
	}
	return n, true
}

// host takes away who signs in, which is nothing of the source's, and adds the
// port that is meant.
func host(authority, port string) string {
	authority = strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	if port != "" && !strings.Contains(authority, ":") {
		authority += ":" + port
	}
	return authority
}

// table names a table by the parts of its path, without the parameters of a
// connection.
func table(namespace, path string) (LineageName, bool) {
	path, _, _ = strings.Cut(path, "?")
	name := strings.ReplaceAll(strings.Trim(path, "/"), "/", ".")
	return LineageName{namespace, name}, name != ""
}

func fileName(host, path string) (LineageName, bool) {
	path = "/" + strings.Trim(path, "/")
	if host == "" || host == "localhost" {
		return LineageName{"file", path}, true
	}
	if path != "/" {
		path = path[1:]
	}
	return LineageName{"file://" + strings.ToLower(host), path}, true
}

// arn splits what Glue names: the namespace ends at the account.
func arn(uri string) (LineageName, bool) {
	for i, colons := 0, 0; i < len(uri); i++ {
		if uri[i] == '/' {
			break
		}
		if uri[i] != ':' {
			continue
		}
		if colons++; colons == 5 && i+1 < len(uri) {
			return LineageName{uri[:i], uri[i+1:]}, true
		}
	}
	return LineageName{}, false
}
