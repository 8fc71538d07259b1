package zkmeta

import (
	"context"
	"errors"
	"fmt"
)

// Features are the finalized features of the cluster. In ZooKeeper mode there are none, but the znode must be there and
// enabled before brokers of Kafka 2.7 and above answer ApiVersions in full.
type Features struct {
	Enabled   bool
	Version   int                     // of the znode's form: 1 or 2
	Levels    map[string]FeatureRange // Min is 0 in version 2
	ZkVersion int32                   // the epoch that ApiVersions 3 shows
}

func encodeFeatures(f Features) []byte {
	o := append(appendKey([]byte("{"), "features"), '{')
	for _, name := range sortedKeys(f.Levels) {
		o = append(appendKey(o, name), '{')
		if f.Version < 2 {
			o = appendIntField(o, "min_version_level", int64(f.Levels[name].Min))
		}
		o = append(appendIntField(o, "max_version_level", int64(f.Levels[name].Max)), '}')
	}
	o = appendIntField(append(o, '}'), "version", int64(f.Version))
	status := int64(0)
	if f.Enabled {
		status = 1
	}
	return append(appendIntField(o, "status", status), '}')
}

func decodeFeatures(data []byte, stat *Stat) (Features, error) {
	o, err := parseObject(data)
	if err != nil {
		return Features{}, err
	}
	f := Features{Levels: map[string]FeatureRange{}, ZkVersion: stat.Version}
	if f.Version, err = get[int](o, "version"); err != nil || f.Version < 1 || f.Version > 2 {
		return Features{}, fmt.Errorf("version %s is neither 1 nor 2", o["version"])
	}
	status, err := get[int](o, "status")
	if err != nil || status < 0 || status > 1 {
		return Features{}, fmt.Errorf("status %s is neither 0 nor 1", o["status"])
	}
	f.Enabled = status == 1
	levels, err := o.sub("features")
	if err != nil {
		return Features{}, err
	}
	for name := range levels {
		level, err := levels.sub(name)
		if err != nil {
			return Features{}, err
		}
		var r FeatureRange
		if r.Max, err = get[int16](level, "max_version_level"); err == nil && f.Version == 1 {
			r.Min, err = get[int16](level, "min_version_level")
		}
		if err != nil || r.Max < 1 || f.Version == 1 && r.Min < 1 {
			return Features{}, fmt.Errorf("feature %q has no levels", name)
		}
		f.Levels[name] = r
	}
	return f, nil
}

// ReadFeatures reads /feature; ErrNoNode when no controller has made it yet.
func (s *Session) ReadFeatures(ctx context.Context) (Features, error) {
	data, stat, err := s.Get(ctx, FeaturePath)
	if err != nil {
		return Features{}, err
	}
	f, err := decodeFeatures(data, stat)
	if err != nil {
		return Features{}, fmt.Errorf("%s: %w", s.full(FeaturePath), err)
	}
	return f, nil
}

// SetUpFeatures is what a controller does first: /feature is made, or enabled, or given the form of the level. Like
// Kafka it checks no epoch, for every controller of the same level writes the same. A znode that cannot be read is
// written anew.
func (s *Session) SetUpFeatures(ctx context.Context) (Features, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	want := Features{Enabled: true, Version: s.client.currentLevel().FeatureZnodeVersion(), Levels: map[string]FeatureRange{}}
	for {
		data, stat, err := s.Get(ctx, FeaturePath)
		if errors.Is(err, ErrNoNode) {
			err = s.createNew(ctx, FeaturePath, encodeFeatures(want))
			if errors.Is(err, ErrNodeExists) {
				continue
			}
			return want, err
		}
		if err != nil {
			return Features{}, err
		}
		have, err := decodeFeatures(data, stat)
		if err != nil {
			s.client.badZnode(s.full(FeaturePath), stat, err)
		} else if have.Enabled {
			want.Levels = have.Levels // a disabled one keeps none
			if have.Version == want.Version {
				return have, nil
			}
		}
		want.ZkVersion, err = s.setVersion(ctx, FeaturePath, encodeFeatures(want), stat.Version)
		if errors.Is(err, ErrBadVersion) || errors.Is(err, ErrNoNode) {
			continue
		}
		return want, err
	}
}
