package mlflow

import (
	"slices"
	"strings"

	"imprimatur.dev/registry"
)

// named returns the argument name after its checks.
func (c *call) named() (string, error) {
	name, err := c.args.required("name")
	if err != nil {
		return "", err
	}
	return name, checkName(name, "name")
}

func (c *call) model(name string) (any, error) {
	m, err := c.reg.RegisteredModel(c.ctx, c.who, c.team, name)
	if err != nil {
		return nil, err
	}
	return modelAnswer{modelOf(m)}, nil
}

func createModel(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	tags, err := c.args.tags()
	if err != nil {
		return nil, err
	}
	description, err := c.described()
	if err != nil {
		return nil, err
	}
	if err := c.reg.CreateRegisteredModel(c.ctx, c.who, c.team, name, description, tags); err != nil {
		return nil, err
	}
	return c.model(name)
}

func (c *call) described() (string, error) {
	d, err := c.args.text("description")
	if err != nil {
		return "", err
	}
	return d, checkDescription(d)
}

func renameModel(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	to, err := c.args.required("new_name")
	if err != nil {
		return nil, err
	}
	if err := checkName(to, "new_name"); err != nil {
		return nil, err
	}
	if err := c.reg.RenameRegisteredModel(c.ctx, c.who, c.team, name, to); err != nil {
		return nil, err
	}
	return c.model(to)
}

func updateModel(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	description, err := c.described()
	if err != nil {
		return nil, err
	}
	if err := c.reg.AmendRegisteredModel(c.ctx, c.who, c.team, name, registry.Amendment{Description: &description}); err != nil {
		return nil, err
	}
	return c.model(name)
}

func deleteModel(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.DeleteRegisteredModel(c.ctx, c.who, c.team, name)
}

func getModel(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	return c.model(name)
}

func latestVersions(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	asked, err := c.args.list("stages")
	if err != nil {
		return nil, err
	}
	wanted := stages
	if len(asked) > 0 {
		wanted = nil
		for _, s := range asked {
			stage, err := stageNamed(s)
			if err != nil {
				return nil, err
			}
			wanted = append(wanted, stage)
		}
	}
	m, err := c.reg.RegisteredModel(c.ctx, c.who, c.team, name)
	if err != nil {
		return nil, err
	}
	var out versionsAnswer
	for _, v := range m.Latest() {
		if slices.Contains(wanted, v.Stage) {
			out.Versions = append(out.Versions, versionOf(v, m))
		}
	}
	return out, nil
}

func setModelTag(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	set, err := c.tagArgument()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.AmendRegisteredModel(c.ctx, c.who, c.team, name, set)
}

func (c *call) tagArgument() (registry.Amendment, error) {
	key, err := c.args.required("key")
	if err != nil {
		return registry.Amendment{}, err
	}
	value, err := c.args.text("value")
	if err != nil {
		return registry.Amendment{}, err
	}
	return registry.Amendment{Tags: map[string]string{key: value}}, checkTag(key, value)
}

func (c *call) untagArgument() (registry.Amendment, error) {
	key, err := c.args.required("key")
	if err != nil {
		return registry.Amendment{}, err
	}
	return registry.Amendment{Untag: []string{key}}, checkTagName(key)
}

func deleteModelTag(c *call) (any, error) {
	name, err := c.named()
	if err != nil {
		return nil, err
	}
	set, err := c.untagArgument()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.AmendRegisteredModel(c.ctx, c.who, c.team, name, set)
}

func setAlias(c *call) (any, error) {
	name, alias, err := c.alias(checkNewAlias)
	if err != nil {
		return nil, err
	}
	number, err := c.number()
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.SetAlias(c.ctx, c.who, c.team, name, alias, number)
}

func (c *call) alias(check func(string) error) (name, alias string, err error) {
	if name, err = c.named(); err != nil {
		return "", "", err
	}
	if alias, err = c.args.required("alias"); err != nil {
		return "", "", err
	}
	return name, alias, check(alias)
}

func deleteAlias(c *call) (any, error) {
	name, alias, err := c.alias(checkAlias)
	if err != nil {
		return nil, err
	}
	return none{}, c.reg.DeleteAlias(c.ctx, c.who, c.team, name, alias)
}

func getByAlias(c *call) (any, error) {
	name, alias, err := c.alias(checkAlias)
	if err != nil {
		return nil, err
	}
	m, err := c.reg.RegisteredModel(c.ctx, c.who, c.team, name)
	if err != nil {
		return nil, err
	}
	number, err := pointedAt(m, alias)
	if err != nil {
		return nil, err
	}
	return c.version(name, number)
}

// pointedAt returns the version of an alias; latest is one that always is.
func pointedAt(m *registry.Registered, alias string) (int, error) {
	if strings.EqualFold(alias, "latest") {
		if len(m.Versions) == 0 {
			return 0, &fault{doesNotExist, "Latest version not found for model " + m.Model.Name + "."}
		}
		return m.Versions[len(m.Versions)-1].Version, nil
	}
	number, ok := m.Model.Aliases[alias]
	if !ok {
		return 0, invalidf("Registered model alias %s not found.", alias)
	}
	return number, nil
}
