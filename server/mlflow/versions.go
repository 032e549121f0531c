package mlflow

import (
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// number returns the argument version.
func (c *call) number() (int, error) {
	// Some clients send it as a number.
	if v, ok := c.args.given("version"); ok && v.Kind() == '0' {
		return versionNumber(string(v))
	}
	s, err := c.args.required("version")
	if err != nil {
		return 0, err
	}
	return versionNumber(s)
}

// numbered returns the arguments name and version.
func (c *call) numbered() (string, int, error) {
	name, err := c.named()
	if err != nil {
		return "", 0, err
	}
	n, err := c.number()
	return name, n, err
}

// version answers with a version that the caller may have.
func (c *call) version(name string, number int) (any, error) {
	m, v, err := c.reg.HandOut(c.ctx, c.who, c.team, name, number)
	if err != nil {
		return nil, err
	}
	return versionAnswer{versionOf(v, m)}, nil
}

// changed answers with a version that the caller has just changed, whether or
// not they might have it.
func (c *call) changed(name string, number int) (any, error) {
	m, v, err := c.reg.RegisteredVersion(c.ctx, c.who, c.team, name, number)
	if err != nil {
		return nil, err
	}
	return versionAnswer{versionOf(v, m)}, nil
}

func createVersion(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	v := record.RegisteredVersion{Team: c.team, Name: name}
	if v.Source, err = c.args.required("source"); err != nil {
		return nil, err
	}
	for _, arg := range []struct {
		name string
		most int
		into *string
	}{
		{"run_id", record.MaxRegisteredRun, &v.Run},
		{"run_link", record.MaxRegisteredURI, &v.RunLink},
		{"model_id", record.MaxRegisteredRun, &v.ModelID},
		{"description", record.MaxRegisteredText, &v.Description},
	} {
		if *arg.into, err = c.args.text(arg.name); err != nil {
			return nil, err
		}
		if err := checkLength(arg.name, *arg.into, arg.most); err != nil {
			return nil, err
		}
	}
	if v.Tags, err = c.args.tags(); err != nil {
		return nil, err
	}
	if err := checkSource(v.Source); err != nil {
		return nil, err
	}
	number, err := c.reg.CreateRegisteredVersion(c.ctx, c.who, v)
	if err != nil {
		return nil, err
	}
	return c.changed(name, number)
}

func updateVersion(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	description, err := c.described()
	if err != nil {
		return nil, err
	}
	if err := c.reg.AmendRegisteredVersion(c.ctx, c.who, c.team, name, number, registry.Amendment{Description: &description}); err != nil {
		return nil, err
	}
	return c.changed(name, number)
}

func moveStage(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	asked, err := c.args.required("stage")
	if err != nil {
		return nil, err
	}
	stage, err := stageNamed(asked)
	if err != nil {
		return nil, err
	}
	archive, err := c.args.flag("archive_existing_versions")
	if err != nil {
		return nil, err
	}
	if archive && stage != record.StageStaging && stage != record.StageProduction {
		return nil, invalidf("Model version transition cannot archive existing model versions because '%s' is not an Active stage. Valid stages are ['Staging', 'Production']", asked)
	}
	if err := c.reg.MoveStage(c.ctx, c.who, c.team, name, number, stage, archive); err != nil {
		return nil, err
	}
	return c.changed(name, number)
}

func deleteVersion(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.DeleteRegisteredVersion(c.ctx, c.who, c.team, name, number)
}

func getVersion(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	return c.version(name, number)
}

func downloadURI(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	_, v, err := c.reg.HandOut(c.ctx, c.who, c.team, name, number)
	if err != nil {
		return nil, err
	}
	if v.Location != "" {
		return uriAnswer{v.Location}, nil
	}
	return uriAnswer{v.Source}, nil
}

func setVersionTag(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	set, err := c.tagArgument()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.AmendRegisteredVersion(c.ctx, c.who, c.team, name, number, set)
}

func deleteVersionTag(c *call) (any, error) {
	name, number, err := c.numbered()
	if err != nil {
		return nil, err
	}
	set, err := c.untagArgument()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.AmendRegisteredVersion(c.ctx, c.who, c.team, name, number, set)
}
