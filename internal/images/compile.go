package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// compile builds one program for linux without C, so that it runs in an image that holds nothing else.
func compile(ctx context.Context, name, arch string, progress io.Writer) ([]byte, error) {
	folder, err := os.MkdirTemp("", "kubefed-images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building ./cmd/%s for linux/%s: %w", name, arch, err)
	}
	return os.ReadFile(binary)
}
