import { z } from 'zod'

/**
 * Work that repeats by itself. Each run only looks at PostgreSQL and the artifact store and puts right what it finds,
 * so a run that is missed or happens twice does no harm.
 */
export const SCHEDULES = [
  {
    name: 'housekeeping',
    title: 'Remove what nobody needs any more: expired tickets, uploads that never became a job',
    /** Cron pattern and its time zone. */
    pattern: '*/10 * * * *',
    timeZone: 'America/Bogota',
  },
  {
    name: 'retention',
    title: 'Remove files and rows that are past their retention',
    pattern: '17 3 * * *',
    timeZone: 'America/Bogota',
  },
] as const

export type ScheduleName = (typeof SCHEDULES)[number]['name']
export const ScheduleName = z.enum(['housekeeping', 'retention'])

/** Name of the BullMQ queue that all schedules share; it sorts after the stages. */
export const SCHEDULE_QUEUE = '6-schedules'
