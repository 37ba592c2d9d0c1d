/* What commands are to those who keep denials: which may lower what a key counts, and which make a window slide. */
#include "limit_case.h"
#include "limiter/limit_facts.h"

static void check(const char *command, bool lowers, bool slides)
{
    assert_true(parse_words(split(command)));
    if (limit_facts_lowers(&call) != lowers || limit_facts_slides(&call) != slides)
        fail_msg("%s: lowers %d, slides %d", command, limit_facts_lowers(&call), limit_facts_slides(&call));
}

static void test_what_lowers(void **state)
{
    (void)state;
    check("LIM.RESET k", true, false);
    check("INCREX k", true, false);
    check("LIM.REFUND k GCRA 5 5 1000 COST 1", true, false);
    check("LIM.REFUND k SLIDE 5 1000 COST 1", true, true);
    check("CL.THROTTLE k 4 1 1 -1", true, false);
    check("CL.THROTTLE k 4 1 1 0", false, false);
    check("LIM.GCRA k 5 5 1000", false, false);
    check("LIM.WINDOW k 5 1000 PEEK", false, false);
    check("SEM.RELEASE k t", false, false);
}

static void test_what_slides(void **state)
{
    (void)state;
    check("LIM.SLIDE k 5 1000", false, true);
    check("LIM.SLIDE k 5 1000 LOG", false, true);
    check("LIM.MULTI 2 a b WINDOW 5 1000 SLIDE 5 1000", false, true);
    check("LIM.MULTI 2 a b SLIDE 5 1000 LOG SEM 1 1000 slide", false, true);
    check("LIM.MULTI 2 a b WINDOW 5 1000 SEM 1 1000 slide", false, false);
    check("LIM.MULTI 1 slide GCRA 5 5 1000", false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lowers),
        cmocka_unit_test(test_what_slides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
