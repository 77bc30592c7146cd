using Microsoft.FSharp.Core;

namespace Mqtt5.Serving;

// Asks the core why a message is, or is not, delivered; permissions of the application are asked here.
internal static class Explanations
{
    private static readonly ClientAccess Everything = Mqtt5.Access.ForClient(
        ClientId.Of("any"),
        FSharpValueOption<Utf8String>.None,
        [
            new AccessGrant(AccessSubject.Everyone, true, AccessScope.All, "#"),
            new AccessGrant(AccessSubject.Everyone, true, AccessScope.All, "+/#"),
        ]);

    public static DeliveryVerdict Explain(long now, ServerMessage message, BrokerEngine engine, Session session)
    {
        var access = message.Topic.Text.StartsWith('$')
            ? Mqtt5.Access.ForClient(
                session.State.ClientId,
                FSharpValueOption<Utf8String>.None,
                [new AccessGrant(AccessSubject.Everyone, true, AccessScope.All, message.Topic.Text)])
            : Everything;
        var verdict = DeliveryExplanation.Explain(
            now, message, engine.SpareBytes, access, session.State, engine.Registry.Current);
        var isTarget = verdict is not { IsNoSession: true } and not { IsExpired: true } and not { IsNoLocal: true } and not { IsNoSubscription: true };
        return isTarget && session.Permissions is { } permissions && !permissions.MayReceive(message.Topic)
            ? DeliveryVerdict.NotAllowed
            : verdict;
    }
}
