//! What any store must do. The scenarios know only the traits; each backend runs them all by one line at the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod alarms;
mod bed;
mod campaigns;
mod conversation;
mod coverage;
mod crash;
mod custody;
mod erasure;
mod health;
mod intake;
mod journal;
mod lists;
mod machine;
mod mailboxes;
mod notices;
mod otherwise;
mod outbox;
mod pace;
mod people;
mod pins;
mod proposals;
mod register;
mod scale;
mod sqlite;
mod unattended;
mod waiting;

/// Runs every scenario on one kind of bed.
macro_rules! suite {
    ($backend:ident, $bed:ty) => {
        mod $backend {
            suite!(@ $bed, register:
                breaches_are_numbered_within_their_year
                racing_openers_never_share_a_number
                each_version_of_a_record_counts
                the_timeline_is_in_order
                a_breach_that_is_not_there_is_named);
            suite!(@ $bed, notices:
                filing_stores_all_at_once
                drafts_are_replaced
                a_reference_is_used_once
                notices_are_numbered_for_each_authority
                another_channel_needs_no_delivery
                the_first_acknowledgement_stands
                an_acknowledgement_may_overtake_the_outcome
                an_acknowledgement_ends_the_retries
                withdrawing_ends_what_has_not_left
                the_timeline_tells_the_story);
            suite!(@ $bed, outbox:
                two_workers_never_claim_the_same
                two_processes_never_claim_the_same
                notices_are_claimed_before_persons
                nothing_is_claimed_before_it_is_due
                one_delivery_can_be_claimed_alone
                retried_until_handed
                a_message_id_survives_the_worker
                a_dead_worker_is_recovered
                a_clock_set_back_keeps_nobody_waiting
                each_relay_has_its_own_longest_wait
                a_lease_ends
                a_lost_lease_skips_nobody
                doubt_is_never_forgotten
                releasing_gives_back_at_once
                a_step_is_all_or_nothing
                a_failure_takes_nothing_with_it
                steps_of_many_connections_keep_every_outcome
                confirmed_never_leaves
                a_person_decides_about_one_delivery
                a_late_bounce_is_kept);
            suite!(@ $bed, campaigns:
                nobody_is_due_before_the_start
                every_person_is_counted_once
                who_was_put_off_is_known
                two_different_persons_agree_to_the_same_content
                whoever_is_disabled_has_not_agreed
                a_pause_takes_back_what_was_claimed
                a_pause_stops_what_was_claimed_before_it
                a_cancellation_ends_what_waits
                what_may_have_left_stays_in_doubt
                a_bounce_may_overtake_the_outcome
                it_settles_when_nothing_waits
                an_account_is_of_one_moment
                who_cannot_be_written_to_is_held_until_a_person_decides
                who_is_held_goes_on_without_a_field_where_somebody_says_so
                the_sums_fit_whatever_happens);
            suite!(@ $bed, otherwise:
                a_shared_address_names_nobody_alone
                persons_are_found_by_address_whatever_their_key
                whoever_is_told_otherwise_gets_no_mail_afterwards
                doubt_stays_when_the_person_is_told);
            suite!(@ $bed, unattended:
                whoever_is_put_off_for_days_is_given_up
                what_may_have_left_is_given_up_in_doubt
                a_campaign_that_nobody_touches_is_found);
            suite!(@ $bed, waiting:
                whoever_waits_is_hurried_and_nobody_else
                a_slow_domain_is_asked_again_by_one_message
                only_a_campaign_that_runs_is_hurried);
            suite!(@ $bed, lists:
                the_same_person_counts_once
                rows_of_one_person_are_united
                a_list_that_was_cut_off_goes_on
                two_processes_do_not_import_the_same_rows
                a_started_campaign_takes_no_more_persons
                a_corrected_row_takes_the_place_of_the_bad_one
                a_person_reached_at_another_address_is_no_bad_row
                a_list_that_changed_is_given_up
                persons_are_counted_by_what_reports_need);
            suite!(@ $bed, custody:
                a_copy_sends_nothing_by_itself
                a_copy_put_back_over_its_own_file_sends_nothing_by_itself
                whoever_is_second_takes_no_new_store_for_a_copy
                an_early_copy_put_back_sends_nothing_by_itself
                a_store_that_goes_on_is_no_copy);
            suite!(@ $bed, erasure:
                nobody_is_erased_who_may_still_be_written_to
                what_is_on_the_wire_ends_before_anybody_is_erased
                an_answer_that_comes_after_the_erasure_is_kept_without_its_words
                all_that_came_back_is_erased_however_much_it_is
                what_comes_later_is_not_kept
                one_person_is_erased_in_whatever_spelling
                no_neighbour_is_erased);
            suite!(@ $bed, people:
                a_token_leads_to_its_user
                only_a_second_person_lets_a_notice_go);
            suite!(@ $bed, machine:
                two_workers_at_random);
            suite!(@ $bed, coverage:
                every_report_adds_up_whatever_happens);
            suite!(@ $bed, pace:
                two_processes_share_one_rate
                the_limit_of_a_day_is_reached_and_not_passed
                a_day_is_not_spent_on_what_did_not_leave
                a_clock_set_back_costs_one_day_and_no_more
                each_domain_has_its_own_rate
                no_pace_holds_a_notice_back
                a_domain_that_puts_us_off_is_slowed_alone
                a_domain_that_puts_off_single_persons_is_slow_no_more
                however_an_address_is_written_its_domain_recovers
                what_is_not_the_domains_fault_slows_no_domain
                refusals_of_us_pause_the_campaign);
            suite!(@ $bed, pins:
                the_last_pin_counts);
            suite!(@ $bed, proposals:
                the_newest_waits_alone
                a_decision_ends_a_proposal
                one_of_two_processes_looks);
            suite!(@ $bed, intake:
                a_mail_is_stored_once
                what_was_not_understood_is_found_again
                the_tray_keeps_what_waits_for_a_person
                an_acknowledgement_moves_its_notice
                an_acknowledgement_of_nothing_changes_nothing);
            suite!(@ $bed, alarms:
                an_alarm_is_raised_once
                racing_clerks_raise_once
                what_comes_back_is_not_told_anew
                an_alert_is_told_until_it_is_taken
                a_dead_clerk_leaves_nothing_untold
                an_ignored_alert_is_repeated
                who_saw_it_first_stays_on_record
                there_is_one_clerk);
            suite!(@ $bed, health:
                a_finding_counts_from_its_first_time);
            suite!(@ $bed, mailboxes:
                a_mark_moves_forward
                a_new_numbering_starts_again);
            suite!(@ $bed, conversation:
                each_report_moves_a_delivery_as_far_as_it_proves
                a_late_bounce_of_one_person_is_counted
                what_came_back_is_counted_by_person
                a_report_about_nothing_changes_nothing
                a_person_takes_mail_out_of_the_tray
                a_question_waits_until_a_person_ends_it
                an_answer_closes_its_question_when_it_is_handed_over);
            suite!(@ $bed, journal:
                entries_form_a_chain
                details_have_one_spelling
                checkpoints_bind_the_chain
                one_entry_covers_the_attempts_of_a_commit
                a_long_journal_is_walked_in_pages);
        }
    };
    (@ $bed:ty, $noun:ident: $($scenario:ident)+) => {
        mod $noun {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                crate::$noun::$scenario(&<$bed as crate::bed::Bed>::new()).await;
            })+
        }
    };
}

suite!(on_sqlite, crate::sqlite::Home);
