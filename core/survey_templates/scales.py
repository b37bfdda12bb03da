"""Published scales that may be used freely, with their sources, terms, scores and worked examples.

Wordings and scoring are those of the sources; what a source leaves open (missing items) is said in `about`.
"""

from core.survey_templates.scale import Example, Scale, ScaleScore, all_of, same_answers

_PFIZER = (
    "Developed by R. L. Spitzer, J. B. W. Williams, K. Kroenke and colleagues with an educational grant from Pfizer. "
    "No permission is required to reproduce, translate, display or distribute."
)
_TWO_WEEKS = "Over the last 2 weeks, how often have you been bothered by the following?"
_HOW_OFTEN = ("Not at all", "Several days", "More than half the days", "Nearly every day")
_PHQ_TEXTS = (
    "Little interest or pleasure in doing things",
    "Feeling down, depressed, or hopeless",
    "Trouble falling or staying asleep, or sleeping too much",
    "Feeling tired or having little energy",
    "Poor appetite or overeating",
    "Feeling bad about yourself – or that you are a failure or have let yourself or your family down",
    "Trouble concentrating on things, such as reading the newspaper or watching television",
    "Moving or speaking so slowly that other people could have noticed? Or the opposite – being so fidgety or restless "
    "that you have been moving around a lot more than usual",
    "Thoughts that you would be better off dead or of hurting yourself in some way",
)
_PHQ = same_answers(_TWO_WEEKS, _PHQ_TEXTS, _HOW_OFTEN, (0, 1, 2, 3))
_GAD = same_answers(
    _TWO_WEEKS,
    (
        "Feeling nervous, anxious, or on edge",
        "Not being able to stop or control worrying",
        "Worrying too much about different things",
        "Trouble relaxing",
        "Being so restless that it is hard to sit still",
        "Becoming easily annoyed or irritable",
        "Feeling afraid as if something awful might happen",
    ),
    _HOW_OFTEN,
    (0, 1, 2, 3),
)
_SEVERITY = ((4, "minimal"), (9, "mild"), (14, "moderate"))

PHQ_9 = Scale(
    key="phq-9",
    name="PHQ-9",
    about="Depression over two weeks: nine items, 0 to 27. With one or two items missing the sum is prorated.",
    source="Kroenke K, Spitzer RL, Williams JBW. The PHQ-9. J Gen Intern Med 2001; 16: 606–613.",
    licence=_PFIZER,
    items=_PHQ,
    scores=(
        ScaleScore("PHQ-9", "phq9", all_of(_PHQ), 7, bands=(*_SEVERITY, (19, "moderately severe"), (27, "severe"))),
    ),
    examples=(
        Example((1, 2, 0, 3, 1, 0, 2, 1, 1), {"phq9": 11}),
        Example((1, 2, None, 3, 1, None, 2, 1, 1), {"phq9": 11 * 9 / 7}),
        Example((1, 2, None, 3, 1, None, 2, 1, None), {"phq9": None}),
    ),
    to_watch=((9, "It asks about thoughts of death and of hurting oneself."),),
)
PHQ_8 = Scale(
    key="phq-8",
    name="PHQ-8",
    about="Depression over two weeks without the question about self-harm: eight items, 0 to 24.",
    source="Kroenke K, Strine TW, Spitzer RL, et al. The PHQ-8. J Affect Disord 2009; 114: 163–173.",
    licence=_PFIZER,
    items=_PHQ[:8],
    scores=(
        ScaleScore("PHQ-8", "phq8", all_of(_PHQ[:8]), 7, bands=(*_SEVERITY, (19, "moderately severe"), (24, "severe"))),
    ),
    examples=(
        Example((3, 3, 2, 2, 1, 1, 0, 0), {"phq8": 12}),
        Example((3, 3, 2, 2, 1, 1, 2, None), {"phq8": 16}),
        Example((3, 3, 2, 2, 1, 1, None, None), {"phq8": None}),
    ),
)
PHQ_2 = Scale(
    key="phq-2",
    name="PHQ-2",
    about="The first two questions of the PHQ-9, 0 to 6; from 3 on a further look is advised.",
    source="Kroenke K, Spitzer RL, Williams JBW. The PHQ-2. Med Care 2003; 41: 1284–1292.",
    licence=_PFIZER,
    items=_PHQ[:2],
    scores=(ScaleScore("PHQ-2", "phq2", (1, 2), 2, bands=((2, "below the threshold"), (6, "further look advised"))),),
    examples=(Example((2, 3), {"phq2": 5}), Example((2, None), {"phq2": None})),
)
GAD_7 = Scale(
    key="gad-7",
    name="GAD-7",
    about="Anxiety over two weeks: seven items, 0 to 21. With one or two items missing the sum is prorated.",
    source="Spitzer RL, Kroenke K, Williams JBW, Löwe B. The GAD-7. Arch Intern Med 2006; 166: 1092–1097.",
    licence=_PFIZER,
    items=_GAD,
    scores=(ScaleScore("GAD-7", "gad7", all_of(_GAD), 5, bands=(*_SEVERITY, (21, "severe"))),),
    examples=(
        Example((1, 1, 2, 2, 0, 3, 1), {"gad7": 10}),
        Example((1, None, 2, 2, 0, None, 1), {"gad7": 6 * 7 / 5}),
        Example((1, None, 2, 2, None, None, 1), {"gad7": None}),
    ),
)
GAD_2 = Scale(
    key="gad-2",
    name="GAD-2",
    about="The first two questions of the GAD-7, 0 to 6; from 3 on a further look is advised.",
    source="Kroenke K, Spitzer RL, Williams JBW, et al. Ann Intern Med 2007; 146: 317–325.",
    licence=_PFIZER,
    items=_GAD[:2],
    scores=(ScaleScore("GAD-2", "gad2", (1, 2), 2, bands=((2, "below the threshold"), (6, "further look advised"))),),
    examples=(Example((1, 2), {"gad2": 3}), Example((None, 2), {"gad2": None})),
)
_WHO = same_answers(
    "Over the last two weeks:",
    (
        "I have felt cheerful and in good spirits",
        "I have felt calm and relaxed",
        "I have felt active and vigorous",
        "I woke up feeling fresh and rested",
        "My daily life has been filled with things that interest me",
    ),
    (
        "All of the time",
        "Most of the time",
        "More than half of the time",
        "Less than half of the time",
        "Some of the time",
        "At no time",
    ),
    (20, 16, 12, 8, 4, 0),
)
WHO_5 = Scale(
    key="who-5",
    name="WHO-5 well-being index",
    about="Well-being over two weeks: five items, as a percentage from 0 (worst) to 100. All items are needed.",
    source="Topp CW, Østergaard SD, Søndergaard S, Bech P. The WHO-5. Psychother Psychosom 2015; 84: 167–176.",
    licence="World Health Organization, CC BY-NC-SA 3.0 IGO: free for purposes that are not commercial.",
    items=_WHO,
    scores=(ScaleScore("WHO-5", "who5", all_of(_WHO), 5, bands=((50, "further look advised"), (100, "good"))),),
    examples=(
        Example((1, 2, 2, 3, 1), {"who5": 64}),
        Example((5, 5, 5, 5, 5), {"who5": 0}),
        Example((0, 0, 0, 0, None), {"who5": None}),
    ),
)
_K6 = same_answers(
    "During the past 30 days, about how often did you feel",
    (
        "nervous?",
        "hopeless?",
        "restless or fidgety?",
        "so depressed that nothing could cheer you up?",
        "that everything was an effort?",
        "worthless?",
    ),
    ("All of the time", "Most of the time", "Some of the time", "A little of the time", "None of the time"),
    (4, 3, 2, 1, 0),
)
K6 = Scale(
    key="k6",
    name="K6",
    about="Psychological distress over 30 days: six items, 0 to 24; from 13 on serious distress. All items are needed.",
    source="Kessler RC, Barker PR, Colpe LJ, et al. Arch Gen Psychiatry 2003; 60: 184–189.",
    licence="Free to use; the source is to be cited.",
    items=_K6,
    scores=(ScaleScore("K6", "k6", all_of(_K6), 6, bands=((4, "low"), (12, "moderate"), (24, "serious"))),),
    examples=(Example((0, 1, 2, 3, 4, 2), {"k6": 12}), Example((0, 1, 2, 3, 4, None), {"k6": None})),
)
_SWLS = same_answers(
    "",
    (
        "In most ways my life is close to my ideal.",
        "The conditions of my life are excellent.",
        "I am satisfied with my life.",
        "So far I have gotten the important things I want in life.",
        "If I could live my life over, I would change almost nothing.",
    ),
    (
        "Strongly disagree",
        "Disagree",
        "Slightly disagree",
        "Neither agree nor disagree",
        "Slightly agree",
        "Agree",
        "Strongly agree",
    ),
    (1, 2, 3, 4, 5, 6, 7),
)
SWLS = Scale(
    key="swls",
    name="Satisfaction with Life Scale",
    about="Five items, 5 to 35; 20 is neutral. All items are needed.",
    source="Diener E, Emmons RA, Larsen RJ, Griffin S. J Pers Assess 1985; 49: 71–75.",
    licence="Copyrighted, and free to use without permission if the authors are credited.",
    items=_SWLS,
    scores=(
        ScaleScore(
            "Satisfaction with life",
            "swls",
            all_of(_SWLS),
            5,
            bands=(
                (9, "extremely dissatisfied"),
                (14, "dissatisfied"),
                (19, "slightly dissatisfied"),
                (20, "neutral"),
                (25, "slightly satisfied"),
                (30, "satisfied"),
                (35, "extremely satisfied"),
            ),
        ),
    ),
    examples=(Example((5, 4, 5, 3, 0), {"swls": 22}), Example((5, 4, 5, 3, None), {"swls": None})),
)
_CESD = same_answers(
    "During the past week:",
    (
        "I was bothered by things that usually don’t bother me.",
        "I did not feel like eating; my appetite was poor.",
        "I felt that I could not shake off the blues even with help from my family or friends.",
        "I felt that I was just as good as other people.",
        "I had trouble keeping my mind on what I was doing.",
        "I felt depressed.",
        "I felt that everything I did was an effort.",
        "I felt hopeful about the future.",
        "I thought my life had been a failure.",
        "I felt fearful.",
        "My sleep was restless.",
        "I was happy.",
        "I talked less than usual.",
        "I felt lonely.",
        "People were unfriendly.",
        "I enjoyed life.",
        "I had crying spells.",
        "I felt sad.",
        "I felt that people disliked me.",
        "I could not get “going”.",
    ),
    (
        "Rarely or none of the time (less than 1 day)",
        "Some or a little of the time (1–2 days)",
        "Occasionally or a moderate amount of time (3–4 days)",
        "Most or all of the time (5–7 days)",
    ),
    (0, 1, 2, 3),
)
CES_D = Scale(
    key="ces-d",
    name="CES-D",
    about="Depressive symptoms over a week: twenty items, four of them reversed, 0 to 60; from 16 on a further look is "
    "advised. With up to four items missing the sum is prorated.",
    source="Radloff LS. The CES-D scale. Appl Psychol Meas 1977; 1: 385–401.",
    licence="In the public domain.",
    items=_CESD,
    scores=(
        ScaleScore(
            "CES-D",
            "cesd",
            all_of(_CESD),
            16,
            reversed_items=(4, 8, 12, 16),
            bands=((15, "below the threshold"), (60, "further look advised")),
        ),
    ),
    examples=(
        Example((0,) * 20, {"cesd": 12}),
        Example((1, 0, 2, 2, 1, 3, 1, 2, 0, 0, 2, 1, 0, 1, 0, 3, 0, 1, 0, 1), {"cesd": 17}),
        Example((1,) * 16 + (None,) * 4, {"cesd": (12 + 8) * 20 / 16}),
        Example((1,) * 15 + (None,) * 5, {"cesd": None}),
    ),
)
_RSES = same_answers(
    "",
    (
        "On the whole, I am satisfied with myself.",
        "At times I think I am no good at all.",
        "I feel that I have a number of good qualities.",
        "I am able to do things as well as most other people.",
        "I feel I do not have much to be proud of.",
        "I certainly feel useless at times.",
        "I feel that I’m a person of worth, at least on an equal plane with others.",
        "I wish I could have more respect for myself.",
        "All in all, I am inclined to feel that I am a failure.",
        "I take a positive attitude toward myself.",
    ),
    ("Strongly agree", "Agree", "Disagree", "Strongly disagree"),
    (3, 2, 1, 0),
)
RSES = Scale(
    key="rses",
    name="Rosenberg Self-Esteem Scale",
    about="Ten items, five of them reversed, 0 to 30; higher is more self-esteem. All items are needed.",
    source="Rosenberg M. Society and the adolescent self-image. Princeton University Press, 1965.",
    licence="Free to use in research and teaching; the author is to be credited.",
    items=_RSES,
    scores=(ScaleScore("Self-esteem", "rses", all_of(_RSES), 10, reversed_items=(2, 5, 6, 8, 9)),),
    examples=(Example((0, 3, 0, 1, 2, 2, 0, 1, 3, 1), {"rses": 24}), Example((0,) * 9 + (None,), {"rses": None})),
)
_LONELY = same_answers(
    "How often do you feel",
    ("that you lack companionship?", "left out?", "isolated from others?"),
    ("Hardly ever", "Some of the time", "Often"),
    (1, 2, 3),
)
LONELINESS = Scale(
    key="loneliness-3",
    name="Three-item loneliness scale",
    about="Three items, 3 to 9; from 6 on lonely by many studies. All items are needed.",
    source="Hughes ME, Waite LJ, Hawkley LC, Cacioppo JT. Res Aging 2004; 26: 655–672.",
    licence="Free to use; the source is to be cited.",
    items=_LONELY,
    scores=(ScaleScore("Loneliness", "loneliness", (1, 2, 3), 3, bands=((5, "not lonely"), (9, "lonely"))),),
    examples=(Example((0, 1, 2), {"loneliness": 6}), Example((0, None, 2), {"loneliness": None})),
)

SCALES: dict[str, Scale] = {
    scale.key: scale for scale in (PHQ_9, PHQ_8, PHQ_2, GAD_7, GAD_2, WHO_5, K6, SWLS, CES_D, RSES, LONELINESS)
}
"""By key, in the order in which they are shown."""
