-- What ends a session, where logins have failed, and from where users log in.

-- Sessions ----------------------------------------------------------------------------------------------------------

-- A token names this version. When it rises, every token of before is refused.
alter table users add column session_version integer not null default 1 check (session_version > 0);

create function users_end_sessions() returns trigger language plpgsql as $$
begin
  if new.password_hash <> old.password_hash or (new.disabled_at is not null and old.disabled_at is null) then
    new.session_version := old.session_version + 1;
  end if;
  return new;
end
$$;
create trigger users_end_sessions before update on users
  for each row execute function users_end_sessions();

-- Sessions that were logged out of, until their tokens expire.
create table ended_sessions (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  expires_at timestamptz not null
);
create index ended_sessions_expiry on ended_sessions (expires_at);
create index ended_sessions_user on ended_sessions (user_id);

-- API processes look at the open WebSockets when a user or a session changes. They also look every second.
create function notify_sessions() returns trigger language plpgsql as $$
begin
  notify aduana_sessions;
  return null;
end
$$;
create trigger users_notify after update or delete on users
  for each statement execute function notify_sessions();
create trigger ended_sessions_notify after insert on ended_sessions
  for each statement execute function notify_sessions();

-- A ticket belongs to the session that asked for it. Tickets live for seconds: those of before are dropped.
delete from ws_tickets;
alter table ws_tickets
  add column session_id uuid not null,
  add column session_version integer not null,
  add column session_expires_at timestamptz not null;

-- Failed logins -----------------------------------------------------------------------------------------------------

-- A fixed number of counters. A key has one slot; when another key holds it, the newer one takes it over. So the table
-- cannot grow, and each login reads three rows. The keys are keyed hashes: slots cannot be aimed at.
create table login_failures (
  kind text not null check (kind in ('account', 'network', 'account_network')),
  slot integer not null check (slot between 0 and 16383),
  key bytea not null check (length(key) = 32),
  failures integer not null check (failures > 0),
  expires_at timestamptz not null,
  primary key (kind, slot)
) with (fillfactor = 70);

-- Networks from which a user has logged in. A lock of the account does not lock these out.
create table login_networks (
  user_id uuid not null references users on delete cascade,
  network text not null check (length(network) between 1 and 64),
  last_login_at timestamptz not null default now(),
  primary key (user_id, network)
);
