"""What the rules can say of what stands out in a pattern: for each finding several pieces, each on a topic of its own.

The first of each is what a person without a history is told. `{days}` stands for the weekdays in question, which may
be all seven.
"""

from msgspec import Struct

from service.recommendations.advice import Topic


class Saying(Struct, frozen=True):
    """What to do, on which topic, and why."""

    topic: Topic
    recommendation: str
    reason: str
    """What follows the sentence that gives the person's figure; one that begins in lower case goes on with it."""


LOW_ENERGY = (
    Saying(
        "rest",
        "Take two short breaks away from your desk each day this week, one before lunch and one after.",
        "When energy is short, everything else costs more effort, and regular pauses are an easy first thing to "
        "change.",
    ),
    Saying(
        "sleep",
        "Choose a time to put work and screens away each evening this week, half an hour before bed.",
        "Rest that begins too late is missing the next day, and a fixed end to the evening is simpler to keep than a "
        "resolution.",
    ),
    Saying(
        "movement",
        "Go outside for ten minutes before noon each day this week, and walk rather than sit.",
        "Tired people tend to move less, and a short walk in daylight often wakes more than another coffee does.",
    ),
    Saying(
        "food",
        "Eat a proper lunch away from your screen this week, and keep a glass of water within reach.",
        "A day that runs on snacks and coffee has its dips built in, and a real meal is an easy place to begin.",
    ),
)

FALLING_ENERGY = (
    Saying(
        "rest",
        "Clear one commitment from tomorrow, and use the time to rest or go for a walk.",
        "A slide is easiest to stop early, before being tired starts to feel normal.",
    ),
    Saying(
        "workload",
        "Go through the next three days, and move or decline whatever does not have to happen then.",
        "When energy goes down day after day, more is going out than is coming back, and a lighter plan stops that.",
    ),
    Saying(
        "sleep",
        "Be in bed half an hour earlier than usual on the next three evenings.",
        "A few early nights are the plainest way to find out whether missing sleep is behind it.",
    ),
    Saying(
        "people",
        "Ask somebody to take one task off your hands this week, and tell them why.",
        "A slide is hard to stop alone, and most people are glad to be asked for one clear thing.",
    ),
)

RISING_ENERGY = (
    Saying(
        "growth",
        "Write down what you did differently in the last few days, and keep the one thing that helped most.",
        "Once you know what lifts it, you can do it on purpose and need not wait for luck.",
    ),
    Saying(
        "timing",
        "Begin one thing this week that you have been too tired to start, at the hour when you feel freshest.",
        "A rise like this is the best time to get something moving, because beginning is what takes most energy.",
    ),
    Saying(
        "movement",
        "Use some of this energy for a longer walk or a sport that you enjoy, once this week.",
        "What is spent on moving well often comes back, and a good stretch is when it is easiest to begin.",
    ),
    Saying(
        "sleep",
        "Keep the bedtime of these last few days for another week, even if the evenings get busy.",
        "A good run is often lost to a few late nights, so it is worth protecting what may be carrying it.",
    ),
)

LOW_FOCUS = (
    Saying(
        "attention",
        "Keep one stretch of 45 minutes each morning for your most important task, with notifications off.",
        "Interruptions cost more attention than they seem to, and one protected stretch is often enough to finish "
        "something that matters.",
    ),
    Saying(
        "priorities",
        "Each evening this week, write down the one task that tomorrow is for, and begin the day with it.",
        "Deciding what to do wears attention down as much as doing it, and a choice made the evening before costs "
        "nothing in the morning.",
    ),
    Saying(
        "timing",
        "Put e-mail and messages into two fixed half hours a day, and leave them closed in between.",
        "Every look at a message has to be recovered from, and two fixed times leave the rest of the day whole.",
    ),
    Saying(
        "workload",
        "Look at what you are in the middle of, and set aside all but two things until those are done.",
        "Many open tasks pull at the mind all day, and having fewer of them is the quickest relief.",
    ),
)

FALLING_FOCUS = (
    Saying(
        "priorities",
        "Tomorrow, choose your three most important tasks before you open any messages, and do them one at a time.",
        "Jumping between tasks wears attention down, and a short list made early gives it one thing to hold on to.",
    ),
    Saying(
        "attention",
        "Put your phone in another room for the first hour of work on each of the next three days.",
        "Even a silent phone asks to be looked at, and an hour without it shows how much of the slide it explains.",
    ),
    Saying(
        "rest",
        "Stand up for five minutes after each hour of work tomorrow, and look at something far away.",
        "Attention that gets no pause takes its own, and short ones that you choose cost less than long ones that you "
        "do not.",
    ),
    Saying(
        "workload",
        "Cancel or shorten one meeting in the next two days, and leave the time that it frees empty.",
        "A calendar without gaps leaves nothing to think in, and one gap is often enough to find the thread again.",
    ),
)

STRONG_FOCUS = (
    Saying(
        "attention",
        "Give your clearest hours this week to a hard problem that you have been putting off.",
        "A stretch like this suits work that needs deep thought, so keep small tasks out of its way.",
    ),
    Saying(
        "growth",
        "Spend two hours this week on learning something that your work will need next year.",
        "New and difficult things ask for a clear head, and that is what you have at the moment.",
    ),
    Saying(
        "timing",
        "Note at which hours you concentrated best this week, and keep those for hard work next week.",
        "Good concentration tends to have its hours, and those that you know you can defend.",
    ),
    Saying(
        "people",
        "Offer an hour this week to somebody who is stuck on something that you understand well.",
        "Explaining something is thinking it through once more, and it does the two of you good.",
    ),
)

LOW_FULFILLMENT = (
    Saying(
        "meaning",
        "Plan one thing you care about each day, even for fifteen minutes, and treat it as an appointment.",
        "A day can be full and still feel empty, and something that you chose yourself makes it your own.",
    ),
    Saying(
        "people",
        "Arrange to meet or call somebody whose company does you good, once before the week is over.",
        "Days without anybody to share them with seldom feel worth much, and one good talk can change a whole week.",
    ),
    Saying(
        "growth",
        "Choose one thing that you would like to be better at, and practise it for twenty minutes twice this week.",
        "Getting better at something is among the surest ways to feel that time was well spent.",
    ),
    Saying(
        "reflection",
        "Each evening this week, write down which hour of the day you would like to have again.",
        "It is hard to plan for what fulfils you before you know it, and a few lines a day soon show it.",
    ),
)

FALLING_FULFILLMENT = (
    Saying(
        "meaning",
        "Pick the activity that has meant most to you lately, and make time for it within two days.",
        "What matters to us is often the first thing that a busy week pushes out, and it helps to bring it back soon.",
    ),
    Saying(
        "people",
        "Tell somebody close to you how the last days have been, and ask about theirs.",
        "Said aloud, a dull stretch loses some of its weight, and others often see what we do not.",
    ),
    Saying(
        "workload",
        "Name the task that you like least this week, and make it shorter, hand it on or drop it.",
        "One thing that goes against the grain can colour all the others, and it is seldom as fixed as it seems.",
    ),
    Saying(
        "reflection",
        "Compare the last few days with your last good one, and write down what was in that one only.",
        "What went missing is easier to see side by side, and it may be something small that you can bring back.",
    ),
)

HIGH_FULFILLMENT = (
    Saying(
        "people",
        "Note which people and activities made these days good, and set aside time for them next week.",
        "A good stretch is easier to keep going when you know what is behind it.",
    ),
    Saying(
        "reflection",
        "Write a short letter to yourself about these days, to be read when a week goes badly.",
        "What feels plain now is easily forgotten later, and your own words are the ones that you will believe.",
    ),
    Saying(
        "growth",
        "Take one thing that went well these days, and try it at a slightly larger size next week.",
        "What already fulfils you is the safest ground to grow from.",
    ),
    Saying(
        "meaning",
        "Pick the one thing that mattered most these days, and put it in your calendar for the whole month.",
        "Good stretches end when something urgent takes their place, and a date in the calendar holds it.",
    ),
)

# They look back, or ask for something that does a day good, and forbid nothing: in a window longer than a week the same
# weekday may have been low once and at its peak another time, and this must not contradict the advice on peak days.
LOW_DAYS = (
    Saying(
        "workload",
        "Look back at {days}, find what drained you, and plan one change for next week.",
        "Low days often have a plain cause, such as a late night or a packed calendar, and one small change can be "
        "enough.",
    ),
    Saying(
        "sleep",
        "Next week, go to bed half an hour earlier on the evening before {days}.",
        "A low day often begins the night before, and that is easier to change than the day itself.",
    ),
    Saying(
        "movement",
        "Plan a ten-minute walk for {days}, at the hour when you usually flag.",
        "Moving at the right moment can turn a dip around, and a walk that is planned is more likely to happen.",
    ),
    Saying(
        "food",
        "Write down what you eat and drink on {days}, and when, next week.",
        "Dips often follow a skipped meal or a late coffee, and nobody remembers either by the evening.",
    ),
)

PEAK_DAYS = (
    Saying(
        "timing",
        "Save your most demanding work for {days}, and leave small tasks for other times.",
        "When the two come together, hard work feels lighter, so it pays to plan it there.",
    ),
    Saying(
        "attention",
        "Block two hours on {days} for work that needs thought, before others fill them.",
        "Hours like those are the first that others ask for, and a block in the calendar keeps them yours.",
    ),
    Saying(
        "growth",
        "Use an hour on {days} to learn or try something that is just beyond you.",
        "What is new asks for energy and focus at once, and those days have had both.",
    ),
    Saying(
        "priorities",
        "Decide now which one task deserves {days}, and do that task first.",
        "The best hours go to whatever comes up first unless something has been chosen for them.",
    ),
)
