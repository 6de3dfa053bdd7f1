package daemon

import (
	"slices"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Settings returns the settings in the form of the API; waiting are the keys whose change
// takes effect after a restart.
func Settings(l *daemonconfig.Loaded, waiting []string) []models.Setting {
	var all []models.Setting
	for _, v := range l.Values() {
		if v.Key == "data_dir" && v.Value == nil {
			v.Value = nodedir.Default()
		}
		all = append(all, models.Setting{
			Key: v.Key, Value: v.Value, Text: v.Text(), Origin: v.Origin.Kind, From: v.Origin.String(),
			Reload: v.Reload, Waiting: slices.Contains(waiting, v.Key),
		})
	}
	return all
}
