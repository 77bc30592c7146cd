using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// Events as server-sent events. A reader that is too slow misses some, which shows in their numbers; the memory is bounded.
internal static class EventOperations
{
    // So often a comment is sent when nothing happens, so that a reader that has gone is noticed.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    public static async Task StreamAsync(AdminCall call)
    {
        var kind = call.OneOf("kind", "connected", "disconnected", "session-ended", "dropped", "refused", "limit");
        var client = call.Text("client");

        if (!call.Service.TryEnterStream())
            throw new AdminProblem(StatusCodes.Status429TooManyRequests, null, $"there are {call.Service.Options.EventStreams} streams of events already");

        try
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(call.Context.RequestAborted, call.Service.Stopping);
            await WriteAsync(call.Context.Response, call.Inspection, one => (kind is null || one.Kind == kind) && (client is null || one.ClientId == client), ending.Token)
                .ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The reader has gone, or the process ends.
        }
        finally
        {
            call.Service.LeaveStream();
        }
    }

    private static async Task WriteAsync(
        HttpResponse response, MqttBrokerInspection inspection, Func<MqttBrokerEvent, bool> isAsked, CancellationToken cancellationToken)
    {
        response.ContentType = "text/event-stream";
        await using var events = inspection.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        var next = events.MoveNextAsync().AsTask();

        try
        {
            await SendAsync(response, ": events follow\n\n", cancellationToken).ConfigureAwait(false);
            var beat = Task.Delay(Heartbeat, cancellationToken);

            while (true)
            {
                if (await Task.WhenAny(next, beat).ConfigureAwait(false) != next)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await SendAsync(response, ":\n\n", cancellationToken).ConfigureAwait(false);
                    beat = Task.Delay(Heartbeat, cancellationToken);
                    continue;
                }

                if (!await next.ConfigureAwait(false))
                    return;

                var one = events.Current;
                next = events.MoveNextAsync().AsTask();

                if (isAsked(one))
                {
                    var json = JsonSerializer.Serialize(one, AdminJson.Default.MqttBrokerEvent);
                    await SendAsync(response, $"id: {one.Number}\nevent: {one.Kind}\ndata: {json}\n\n", cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            // The enumerator may not be disposed while it moves.
            await Task.WhenAny(next).ConfigureAwait(false);
        }
    }

    private static async Task SendAsync(HttpResponse response, string text, CancellationToken cancellationToken)
    {
        await response.WriteAsync(text, cancellationToken).ConfigureAwait(false);
        await response.Body.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
