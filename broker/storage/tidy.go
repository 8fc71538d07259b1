package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// partitionFiles is what a partition's directory holds once leftovers are gone.
type partitionFiles struct {
	bases     []int64         // of the .log files, ascending
	snapshots []int64         // ascending
	sizes     map[int64]int64 // of each .log by its base
	indexed   map[int64]bool  // there is an .index
	damaged   map[int64]bool  // there is an index whose size cannot be
	txns      map[int64]bool  // there is a .txnindex
}

// tidy finishes or undoes what a crash interrupted (deletions, compactions) and lists the rest.
func tidy(home *logDir, dir string) (partitionFiles, error) {
	entries, err := home.disk.ReadDir(dir)
	if err != nil {
		return partitionFiles{}, err
	}
	if plan := planTidy(entries); plan.any() {
		if err := plan.run(home.disk, dir); err != nil {
			return partitionFiles{}, err
		}
		if entries, err = home.disk.ReadDir(dir); err != nil {
			return partitionFiles{}, err
		}
	}
	files := partitionFiles{sizes: make(map[int64]int64, 1), indexed: make(map[int64]bool, 1),
		damaged: make(map[int64]bool), txns: make(map[int64]bool)}
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		switch filepath.Ext(e.Name()) {
		case logSuffix:
			info, err := e.Info()
			if err != nil {
				return partitionFiles{}, err
			}
			files.bases = append(files.bases, base)
			files.sizes[base] = info.Size()
		case offsetKind.suffix:
			files.indexed[base] = true
			if info, err := e.Info(); err == nil && info.Size()%int64(offsetKind.size) != 0 {
				files.damaged[base] = true
			}
		case timeKind.suffix:
			if info, err := e.Info(); err == nil && info.Size()%int64(timeKind.size) != 0 {
				files.damaged[base] = true
			}
		case txnIndexSuffix:
			files.txns[base] = true
		case snapshotSuffix:
			files.snapshots = append(files.snapshots, base)
		}
	}
	slices.Sort(files.bases)
	slices.Sort(files.snapshots)
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		_, hasLog := files.sizes[base]
		ext := filepath.Ext(e.Name())
		if ok && !hasLog && (ext == offsetKind.suffix || ext == timeKind.suffix || ext == txnIndexSuffix) {
			path := filepath.Join(dir, e.Name())
			home.warn("Found an orphaned index file %s, with no corresponding log file.", path)
			if err := removeIfExists(home.disk, path); err != nil {
				return partitionFiles{}, err
			}
		}
	}
	return files, nil
}

// tidyPlan is what to do with the leftovers of a crash.
type tidyPlan struct {
	remove []string
	rename []string // names to lose their .swap
}

func (p *tidyPlan) any() bool { return len(p.remove)+len(p.rename) > 0 }

// planTidy decides from the names alone, except for the reach of a committed swap, which is that of the files
// next to it.
//
// A deletion that began is finished. A compaction that has not got rid of its .cleaned files is undone; one
// that has, and left .swap files, is carried on: they take the place of the files from the first swap's base up
// to the base behind the last one's. Java: LogLoader.removeTempFilesAndCollectSwapFiles.
func planTidy(entries []fs.DirEntry) tidyPlan {
	var p tidyPlan
	minCleaned := int64(-1)
	var swaps []string
	for _, e := range entries {
		name := e.Name()
		base, ok := parseBase(name)
		switch {
		case strings.HasSuffix(name, deletedSuffix):
			p.remove = append(p.remove, name)
		case !ok:
		case strings.HasSuffix(name, cleanedSuffix):
			p.remove = append(p.remove, name)
			if minCleaned < 0 || base < minCleaned {
				minCleaned = base
			}
		case strings.HasSuffix(name, swapSuffix):
			swaps = append(swaps, name)
		}
	}
	for _, name := range swaps {
		if base, _ := parseBase(name); minCleaned >= 0 && base >= minCleaned {
			p.remove = append(p.remove, name) // the split it belongs to did not finish
			continue
		}
		p.rename = append(p.rename, name)
	}
	return p
}

func (p *tidyPlan) run(disk fileSystem, dir string) error {
	for _, name := range p.remove {
		if err := removeIfExists(disk, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if len(p.rename) == 0 {
		return disk.SyncDir(dir)
	}
	from, to, err := p.swapReach(disk, dir)
	if err != nil {
		return err
	}
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base, ok := parseBase(e.Name())
		if ok && base >= from && base < to && !strings.HasSuffix(e.Name(), swapSuffix) {
			if err := removeIfExists(disk, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range p.rename {
		path := filepath.Join(dir, name)
		if err := disk.Rename(path, strings.TrimSuffix(path, swapSuffix)); err != nil {
			return err
		}
	}
	return disk.SyncDir(dir)
}

// swapReach is the range of offsets that the committed .log.swap files cover.
func (p *tidyPlan) swapReach(disk fileSystem, dir string) (from, to int64, err error) {
	from = -1
	for _, name := range p.rename {
		base, _ := parseBase(name)
		if !strings.HasSuffix(name, logSuffix+swapSuffix) {
			continue
		}
		f, err := disk.OpenFile(filepath.Join(dir, name), os.O_RDONLY)
		if err != nil {
			return 0, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return 0, 0, errors.Join(err, f.Close())
		}
		next := base
		scan := scanHeaders(f, 0, info.Size())
		for {
			h, _, err := scan.next()
			if err != nil || h == nil {
				break
			}
			next = h.NextOffset()
		}
		scan.done()
		if err := f.Close(); err != nil {
			return 0, 0, err
		}
		if from < 0 || base < from {
			from = base
		}
		to = max(to, next)
	}
	return from, to, nil
}
