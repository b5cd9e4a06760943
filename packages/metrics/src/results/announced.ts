import { DayRange } from '@aduana/contracts/dates'
import { z } from 'zod'

/** What a run keeps of the announcement of its results. */
export const Announced = z.object({
  url: z.string(),
  sha256: z.string(),
  rowCount: z.int(),
  days: z.array(DayRange),
})
export type Announced = z.infer<typeof Announced>
