using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// Events as server-sent events. A reader that is too slow misses some, which shows in their numbers; the memory is bounded.
internal static class EventOperations
{
    public static Task StreamAsync(AdminCall call)
    {
        var kind = KindOf(call);
        var client = call.Text("client");
        return EventStream.RunAsync(call, (response, cancellationToken) =>
            WriteAsync(response, call.Inspection, one => (kind is null || one.Kind == kind) && (client is null || one.ClientId == client), cancellationToken));
    }

    public static Task RecentAsync(AdminCall call) =>
        call.AnswerAsync(
            new AdminList<MqttBrokerEvent>(call.Service.Recent.Read(call.Text("client"), KindOf(call), call.Count())), AdminJson.Default.AdminListMqttBrokerEvent);

    private static string? KindOf(AdminCall call) =>
        call.OneOf("kind", "connected", "disconnected", "session-ended", "dropped", "refused", "limit");

    private static async Task WriteAsync(
        HttpResponse response, MqttBrokerInspection inspection, Func<MqttBrokerEvent, bool> isAsked, CancellationToken cancellationToken)
    {
        await using var events = inspection.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        var next = events.MoveNextAsync().AsTask();

        try
        {
            await EventStream.SendAsync(response, ": events follow\n\n", cancellationToken).ConfigureAwait(false);
            var beat = Task.Delay(EventStream.Heartbeat, cancellationToken);

            while (true)
            {
                if (await Task.WhenAny(next, beat).ConfigureAwait(false) != next)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await EventStream.SendAsync(response, ":\n\n", cancellationToken).ConfigureAwait(false);
                    beat = Task.Delay(EventStream.Heartbeat, cancellationToken);
                    continue;
                }

                if (!await next.ConfigureAwait(false))
                    return;

                var one = events.Current;
                next = events.MoveNextAsync().AsTask();

                if (isAsked(one))
                {
                    var json = JsonSerializer.Serialize(one, AdminJson.Default.MqttBrokerEvent);
                    await EventStream.SendAsync(response, $"id: {one.Number}\nevent: {one.Kind}\ndata: {json}\n\n", cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            // The enumerator may not be disposed while it moves.
            await Task.WhenAny(next).ConfigureAwait(false);
        }
    }
}
