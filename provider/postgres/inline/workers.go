package inline

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pawlrun/pawl/provider"
)

// serve takes over what a live worker says it serves.
func (c *call) serve(ctx context.Context, req *provider.PulseRequest) {
	if req.Worker == 0 || req.Serves == nil {
		return
	}
	var lasts any // null: for good
	if req.BeatLasts > 0 {
		lasts = req.BeatLasts
	}
	c.exec(ctx, `update @worker set serves = $2, beat_lasts = $3 where id = $1`, req.Worker, numbers(req.Serves), lasts)
}

// liveServers are the live workers and the classes they serve.
const liveServers = `with live as (select distinct w.id, s.class
		from @worker w join @presence p on p.worker = w.id, unnest(w.serves) s(class)
		where w.reaped_at is null and (w.beat_lasts is null or p.beat_at >= statement_timestamp() - w.beat_lasts)) `

// lookUpWorkers says of a running instance who could run it, and which of its queued work nobody would.
func (c *call) lookUpWorkers(ctx context.Context, st *provider.InstanceState) {
	c.first(ctx, liveServers+`select count(*) from live l join @instance i on i.class = l.class where i.part = $1 and i.iid = $2`,
		args{st.Part, st.Row}, &st.Workers)
	c.each(ctx, liveServers+`select distinct c.name, c.version, c.tag, c.priority from @work w join @class c on c.id = w.class
			where w.part = $1 and w.iid = $2 and w.owner is null and w.class not in (select class from live)
			order by c.name, c.version, c.tag, c.priority limit $3`,
		args{st.Part, st.Row, provider.MaxUnserved}, func(rows pgx.Rows) error {
			class := provider.Class{Kind: provider.ClassActivity}
			err := rows.Scan(&class.Name, &class.Version, &class.Tag, &class.Priority)
			st.Unserved = append(st.Unserved, class)
			return err
		})
}
