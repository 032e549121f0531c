module imprimatur.dev/interop/mlflow

go 1.26.0
