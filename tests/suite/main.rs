//! All integration tests, in one binary: linking is what takes long.
//!
//! | module | proves |
//! |---|---|
//! | `*_contract` | every implementation of a seam keeps the same promises |
//! | `all_clear` | no verdict says that all is well while something cannot be seen |
//! | `api_manners` | mistakes at the HTTP API are answered with what is wrong; its description is complete |
//! | `acs_credentials` | what happens when ACS refuses our credential |
//! | `backup_vault` | copies that are made elsewhere and come home |
//! | `catalogue` | recordings are found and shown at the cost of a page, whatever was interrupted |
//! | `claimed_when_recorded` | a new chunk is claimed by the write that records it |
//! | `command_line` | what holds of every verb at the command line |
//! | `completeness` | what should have come and did not |
//! | `crash_points` | every IO call of a run, failed and killed at |
//! | `day_reports` | what the report and the numbers of a day say, and what they do not know |
//! | `doctor_front` | what answers in front of the functions, and functions that ask for no key |
//! | `doctor_host` | what it finds wrong with the host: keys, functions, a handler that hangs |
//! | `doctor` | what it finds wrong, and what it says mends it |
//! | `drive` | the pipeline on in-memory seams: faults, resume, claims, deadlines |
//! | `engine` | ranges, resuming, turns, slow and capricious sources |
//! | `erased_events` | kept events of an erased person are gone, also those that are moved meanwhile |
//! | `erasures` | erased is final: nothing of a person comes back |
//! | `evidence` | packages that prove recordings without our binary |
//! | `event_grid_webhook` | the second door for events |
//! | `fuzz` | no input makes a reader panic |
//! | `gdpr` | a person is found, handed out and erased; what is held is kept |
//! | `hold_releases` | whatever a hold was made under, the command that `hold list` prints releases it |
//! | `holds` | what is held is deleted nowhere; what is past its policy is deleted from the vault |
//! | `forwarding_host` | behind a host that forwards: parts of media, and who is told |
//! | `function_routes` | which function the host gives each request to, which key opens it, ids and paths as they arrive |
//! | `host_death` | the handler ends when its host is gone, and gives back its claims; Ctrl-C at a terminal |
//! | `host_protocol` | the built binary, called as the Functions host calls it |
//! | `memory_bound` | no request ends the process in 512 MB |
//! | `overdue_sweep` | a sweep that a request runs, the alarm about the timer, and a claim of a process that died |
//! | `import_graph` | no import circle, in `src/`, `dev/` and `xtask/` |
//! | `infra` | what is made in Azure fits the sources |
//! | `supply_chain` | what workflows fetch is pinned; what is attested is built apart |
//! | `interleavings` | each single request of one process disturbed, while another process works on the same chunk |
//! | `interrupted_reads` | a source that breaks off, and an export that goes on where it was |
//! | `recording_control` | the built binary's HTTP API against the ACS simulator |
//! | `recording_register` | one call, one recording; consent, pauses, the list |
//! | `recording_callbacks` | what ACS reports, let in by its token only |
//! | `audit_contention` | what any number of instances get into the one audit log |
//! | `control_answers` | recording control when answers of ACS come late or are lost |
//! | `control_audit` | everything that is done to a recording at ACS is in the audit log, once |
//! | `audit_false_alarms` | what is no tampering is not reported as such |
//! | `audit_tampering` | tampering with entries, receipts, holds, accounts and markers is found |
//! | `auto_record` | calls that are recorded without being asked for |
//! | `long_history` | a recording that was played very often is shown at the cost of a page |
//! | `leases` | a document of the ledger that cannot be written, and the alarm while there is time |
//! | `legacy_generations` | the versions of 2021, from a start to a deleted or left source |
//! | `readme`, `readme_commands` | README's commands, run as written |
//! | `request_costs` | what a recording costs in requests to the storage |
//! | `repeated_requests` | a request that the host sends again is the same request |
//! | `lambda` | the HTTP side under `lambda_http` |
//! | `damaged` | a document that the storage cannot return stops only itself |
//! | `misplaced` | a document under the key of another is not believed |
//! | `media_truth` | exact copies of files that may not be what was recorded |
//! | `notifications` | what others are told of recordings, signed and at least once |
//! | `one_piece` | files of one block: what proves them |
//! | `operator_page` | the operator's page in a real browser |
//! | `operator_actions` | what operators' actions cost |
//! | `operator_verbs` | what an operator types at a shell |
//! | `operations_guide` | what the guide says of log lines and metrics is what the sources write |
//! | `own_storage` | bring-your-own storage: catalogued where it lies |
//! | `package` | the zip that is deployed runs under the host |
//! | `protocol_model` | the protocol of claim, marker, lists and log: every interleaving of a model |
//! | `rebuilding` | entries that are lost or not readable are written again from receipts |
//! | `register_markers` | markers of the register are there for what runs or is awaited, whatever arrives late |
//! | `removals` | files leave a vault one way; a process that was frozen in it removes nothing that was given back |
//! | `schedules` | ten thousand random schedules of deliveries, sweeps, kills, faults and wrong clocks |
//! | `retention_people` | what is kept of people after retention removed their recordings; a fault at any call |
//! | `rights` | what keys and app roles open, and whom an action is recorded under |
//! | `sdk_traffic` | our requests to ACS are those of the official SDK |
//! | `shell_mistakes` | mistakes at the shell say what is wrong; `find` finds what the API finds |
//! | `shell_settings` | where verbs read settings, how they sign in, and shell manners |
//! | `source_deletion` | whose source is deleted at ACS, whatever an event says |
//! | `standings` | every door says the same of how recordings stand; what nobody looked at is never called safe |
//! | `storms` | two handlers killed over and over while the source fails; a vault that is gone, a disk that is full |
//! | `sweep_cost` | a sweep costs what is due, not what was ever stored |
//! | `telephony`, `telephony_crashes` | bots and their commands; every call to the register failed, and killed at |
//! | `telemetry` | what a collector and a scraper get, and that neither disturbs an export |
//! | `vault_verbs` | `verify`, `reconcile` and `delete-source`: what is there, what is missing, what may go |
//! | `vault_api` | the vault over HTTP: lists, one recording, media by Range, tickets, actions, the page |
//! | `tokens` | whose bearer tokens are refused, and what a slow key server delays |
//! | `whole_way` | from a recorded call to the deleted source, on every vault, and after SIGKILL |
//! | `python_sdk` | the official SDK runs against our simulator unmodified |
//! | `documents` | what the repository says of itself is true |

mod accounts_first;
mod acs_credentials;
mod all_clear;
mod api_manners;
mod audit_contention;
mod audit_damage;
mod audit_false_alarms;
mod audit_interrupted;
mod audit_log;
mod audit_stamps;
mod audit_tampering;
mod audit_verbs;
mod auto_record;
mod backtraces;
mod backup_vault;
mod busy_vault;
mod caps;
mod catalogue;
mod claimed_when_recorded;
mod command_line;
mod completeness;
mod control_answers;
mod control_audit;
mod crash_points;
mod damaged;
mod day_reports;
mod deleted_copies;
mod doctor;
mod doctor_front;
mod doctor_host;
mod document_store_contract;
mod documents;
mod drive;
mod due;
mod engine;
mod erased_events;
mod erasures;
mod event_grid_webhook;
mod evidence;
mod export_destination_contract;
mod export_queue;
mod export_surprises;
mod find_and_play;
mod forwarding_host;
mod frozen;
mod function_routes;
mod fuzz;
mod gdpr;
mod generated_clients;
mod held_requests;
mod hold_releases;
mod hold_verbs;
mod holds;
mod host_death;
mod host_protocol;
mod import_graph;
mod import_rules;
mod imports;
mod infra;
mod interleavings;
mod interrupted_reads;
#[cfg(feature = "lambda")]
mod lambda;
mod large_events;
mod leases;
mod legacy_generations;
mod long_history;
mod media_truth;
mod memory_bound;
mod misplaced;
mod notifications;
mod one_piece;
mod operations_guide;
mod operator_actions;
mod operator_page;
mod operator_verbs;
mod other_files;
mod overdue_sweep;
mod own_storage;
mod package;
mod people;
mod protected_receipts;
mod protocol_model;
mod python_sdk;
mod readme;
mod readme_commands;
mod rebuilding;
mod recording_callbacks;
mod recording_control;
mod recording_register;
mod recording_source_contract;
mod register_markers;
mod removals;
mod repeated_requests;
mod request_costs;
mod retention;
mod retention_people;
mod rights;
mod schedules;
mod sdk_traffic;
mod shell_answers;
mod shell_mistakes;
mod shell_settings;
mod source_deletion;
mod standing_holds;
mod standings;
mod storms;
mod supply_chain;
mod support;
mod sweep_cost;
mod telemetry;
mod telephony;
mod telephony_crashes;
mod tokens;
mod unfinished_chunks;
mod unreadable;
mod vault_api;
mod vault_verbs;
mod whole_way;
