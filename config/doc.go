// Package config reads and checks the configuration file.
package config
