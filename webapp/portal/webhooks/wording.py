"""Events and states of messages in words."""

from core.models import WebhookEventType
from core.webhooks.listing import MessageState

EVENTS = {
    WebhookEventType.DATA_PROCESSED: ("Data was processed", "once for each batch of a participant’s uploads"),
    WebhookEventType.ANSWER_ARRIVED: ("An answer arrived", "once for each submission; never what was answered"),
    WebhookEventType.PARTICIPANT_SILENT: ("A participant is silent", "and when the participant is heard again"),
}
STATES = {
    MessageState.WAITING: "Waiting",
    MessageState.FAILED: "Failed, tried again",
    MessageState.DELIVERED: "Delivered",
    MessageState.GIVEN_UP: "Given up",
}
