-- migrate:up
-- An insert only notes what a GIN index has to take in; whoever finds more than a limit of it sorts all
-- of it in. That was the projector, each 4 MB, some thousand commits: with everybody behind it, for a
-- second or more. Now another session of its process does that all the time (only an owner may, so the
-- function has its owner's rights), and the limit is far above what comes meanwhile.
ALTER INDEX configs_content_idx SET (gin_pending_list_limit = 32768);
ALTER INDEX config_revisions_content_idx SET (gin_pending_list_limit = 32768);

CREATE FUNCTION clean_pending_lists() RETURNS BIGINT
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT gin_clean_pending_list('configs_content_idx')
        + gin_clean_pending_list('config_revisions_content_idx')
$$;

COMMENT ON FUNCTION clean_pending_lists IS
    'Has the GIN indexes take in what is only noted yet; how many pages of notes that were.';

-- migrate:down
DROP FUNCTION clean_pending_lists;
ALTER INDEX config_revisions_content_idx RESET (gin_pending_list_limit);
ALTER INDEX configs_content_idx RESET (gin_pending_list_limit);
