"""What does anybody good: a habit on every topic, and for what has helped a person, the next step on that topic."""

from msgspec import Struct

from service.patterns.analysis import Metric
from service.recommendations.advice import Topic
from service.recommendations.sayings import Saying


class Habit(Struct, frozen=True):
    """A habit, and the metric that it serves."""

    metric: Metric
    saying: Saying


# The first two are what a person without a history is told; the others stand in where a person has had enough of those.
HABITS = (
    Habit(
        "energy",
        Saying(
            "sleep",
            "Go to bed and get up at the same times all week, weekend included.",
            "and many people find theirs steadier when their sleep is. A fixed rhythm also makes it easier to see what "
            "else moves your scores.",
        ),
    ),
    Habit(
        "fulfillment",
        Saying(
            "reflection",
            "Set aside fifteen minutes each Sunday to write down what went well and what to change.",
            "and a short look back shows what it is made of. Small things that you notice once a week are easy to "
            "repeat or to drop.",
        ),
    ),
    Habit(
        "focus",
        Saying(
            "attention",
            "Turn off every notification that does not come from a person, and leave it so for a week.",
            "and most interruptions come from programs that can wait. What never reaches you needs no strength to be "
            "put aside.",
        ),
    ),
    Habit(
        "energy",
        Saying(
            "movement",
            "Tie a walk of fifteen minutes to something that you do every day, such as lunch.",
            "and regular movement keeps many people more even. A walk that follows a meal needs no decision.",
        ),
    ),
    Habit(
        "fulfillment",
        Saying(
            "people",
            "Keep one fixed hour each week for somebody who matters to you.",
            "and time with others is what many good days have in common. An hour that is fixed is not crowded out.",
        ),
    ),
    Habit(
        "focus",
        Saying(
            "priorities",
            "Begin each working day by writing down the one thing that would make it a good one.",
            "and it goes further when it knows where to go. One line in the morning is enough to steer by.",
        ),
    ),
    Habit(
        "energy",
        Saying(
            "food",
            "Have your last coffee of the day before two in the afternoon, all week.",
            "and caffeine stays in the body for hours. An afternoon without it often makes for a better night and "
            "morning.",
        ),
    ),
    Habit(
        "fulfillment",
        Saying(
            "meaning",
            "Before each week begins, choose one thing in it that is only for you.",
            "and what we choose ourselves weighs more than what is asked of us. One such thing a week is a fair start.",
        ),
    ),
    Habit(
        "focus",
        Saying(
            "timing",
            "Do work that needs thought and work that needs none at the same hours each day.",
            "and the mind settles sooner at hours that it knows. After a week you will see which hours suit you.",
        ),
    ),
    Habit(
        "energy",
        Saying(
            "rest",
            "End each working day at a set time, and do nothing useful in the half hour after.",
            "and it has to be filled up somewhere. A clear end to the work lets the rest of the evening do that.",
        ),
    ),
    Habit(
        "fulfillment",
        Saying(
            "growth",
            "Read or practise for ten minutes a day something that has nothing to do with your duties.",
            "and curiosity feeds it in many people. Ten minutes are no burden, and enough to get somewhere.",
        ),
    ),
    Habit(
        "focus",
        Saying(
            "workload",
            "Say yes to something new only when something old is finished or dropped, for one week.",
            "and it is shared out among all that you have taken on. Fewer things at once means more for each.",
        ),
    ),
)

_NEXT_STEPS = (
    Saying(
        "rest",
        "Keep the pauses that did you good, and add one more at the hardest hour of your day.",
        "You said that advice on rest helped, so a little more of it is worth a try.",
    ),
    Saying(
        "sleep",
        "Keep what improved your nights, and have the last hour before bed free of screens, too.",
        "You said that advice on sleep helped, and the hour before is the next thing that it depends on.",
    ),
    Saying(
        "movement",
        "Keep moving as you have, and make one walk this week twice as long.",
        "You said that advice on movement helped, so your body may be ready for a little more.",
    ),
    Saying(
        "food",
        "Keep what you changed about your meals, and prepare one of them the evening before.",
        "You said that advice on food helped, and what is prepared is what gets eaten on a busy day.",
    ),
    Saying(
        "attention",
        "Keep your undisturbed stretch, and make it a quarter of an hour longer this week.",
        "You said that advice on undisturbed work helped, and a habit that holds can be stretched in small steps.",
    ),
    Saying(
        "priorities",
        "Keep choosing what comes first, and at noon look once whether it is still first.",
        "You said that advice on priorities helped, and a second look keeps the day from drifting.",
    ),
    Saying(
        "workload",
        "Drop or hand on one more thing this week, now that you have seen it work.",
        "You said that advice on doing less helped, and there is often a second thing that nobody would miss.",
    ),
    Saying(
        "timing",
        "Keep the hours that work for you, and tell the people you work with about them.",
        "You said that advice on timing helped, and hours that others know of are easier to keep.",
    ),
    Saying(
        "meaning",
        "Give what matters to you a second place in the week, as firm as the first.",
        "You said that advice on what you care about helped, so it has earned more room.",
    ),
    Saying(
        "people",
        "See the people who do you good once more this week, and let them choose what to do.",
        "You said that advice on time with others helped, and it is a good thing to make a custom of.",
    ),
    Saying(
        "reflection",
        "Read through what you wrote down so far, and mark the one thing that keeps coming back.",
        "You said that advice on looking back helped, and notes show most when they are read together.",
    ),
    Saying(
        "growth",
        "Take the next step in what you began to learn, and set a day for it.",
        "You said that advice on learning helped, and what has a day of its own goes on.",
    ),
)
NEXT_STEPS: dict[Topic, Saying] = {saying.topic: saying for saying in _NEXT_STEPS}
