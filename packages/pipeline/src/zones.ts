import { readZone, type ZoneRules, type Zones, zoneRanges } from '@aduana/datasets/zones'
import type pg from 'pg'
import type { StageJob } from './stage.ts'

/** New zone rules arrive with an update of the server's packages, without a restart of this process. */
const GOOD_FOR_MS = 60_000

const READ = new WeakMap<pg.Pool, Map<string, { rules: ZoneRules; until: number }>>()

/** Returns PostgreSQL's rules for the time zones of a job's dataset. Caches them for a minute. */
export async function zonesOf({
  context,
  facts,
}: {
  context: Pick<StageJob['context'], 'pool'>
  facts: Pick<StageJob['facts'], 'definition'>
}): Promise<Zones> {
  const known = READ.get(context.pool) ?? new Map<string, { rules: ZoneRules; until: number }>()
  READ.set(context.pool, known)
  const zones = new Map<string, ZoneRules>()
  for (const [zone, range] of zoneRanges(facts.definition)) {
    const name = `${zone} ${range.from} ${range.to}`
    const kept = known.get(name)
    const fresh = kept && kept.until > performance.now()
    const rules = fresh ? kept.rules : await readZone(context.pool, zone, range)
    if (!fresh) known.set(name, { rules, until: performance.now() + GOOD_FOR_MS })
    zones.set(zone, rules)
  }
  return zones
}
