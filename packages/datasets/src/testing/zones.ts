import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { serviceUrl } from '@aduana/testkit/settings'
import pg from 'pg'
import { readZone, type ZoneRules, type Zones, zoneRanges } from '../zones.ts'

const READ = new Map<string, ZoneRules>()

/** Returns the zone rules of a definition, from the shared test server. Rules are cached. */
export async function testZones(definition: DatasetDefinition): Promise<Zones> {
  const zones = new Map<string, ZoneRules>()
  for (const [zone, range] of zoneRanges(definition)) {
    const name = `${zone} ${range.from} ${range.to}`
    const rules = READ.get(name) ?? (await onServer((client) => readZone(client, zone, range)))
    READ.set(name, rules)
    zones.set(zone, rules)
  }
  return zones
}

async function onServer<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: serviceUrl('TEST_DATABASE_URL') })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
