package cli

import (
	"context"

	"github.com/plait-mcp/plait/auth/flow"
)

// openBrowser shows a link in the browser of the person. It is the only way to the opener: plait auth login takes it, and
// plait connect at its first start. A test holds that.
func (a *app) openBrowser(ctx context.Context, link string) error {
	return flow.Open(ctx, flow.Env{LookupEnv: a.env.LookupEnv}, link)
}
