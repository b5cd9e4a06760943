-- breaking: a program of before closes attempts as lost without a cause, and does not know the new states
-- An attempt at a stage is `lost` only when its worker died. It is `parked` when the job waits for a window or an approval,
-- `released` when its worker gave it back unfinished, and `discarded` when it was done but what it left is gone.
alter table stage_results drop constraint stage_results_state_check;
update stage_results set state = 'released' where state = 'lost' and lost_because is null;
alter table stage_results add constraint stage_results_state_check
  check (state in ('running', 'done', 'failed', 'lost', 'parked', 'released', 'discarded'));
alter table stage_results drop constraint stage_results_lost;
alter table stage_results add constraint stage_results_lost check ((state = 'lost') = (lost_because is not null));
