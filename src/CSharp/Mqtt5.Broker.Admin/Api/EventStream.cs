using Microsoft.AspNetCore.Http;

namespace Mqtt5.Admin;

// A stream of server-sent events, of which there are only so many at a time.
internal static class EventStream
{
    // So often a comment is sent when nothing happens, so that a reader that has gone is noticed.
    public static TimeSpan Heartbeat { get; } = TimeSpan.FromSeconds(15);

    // Runs until the reader goes or the process ends.
    public static async Task RunAsync(AdminCall call, Func<HttpResponse, CancellationToken, Task> write)
    {
        if (!call.Service.TryEnterStream())
            throw new AdminProblem(StatusCodes.Status429TooManyRequests, null, $"there are {call.Service.Options.EventStreams} streams of events already");

        try
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(call.Context.RequestAborted, call.Service.Stopping);
            call.Context.Response.ContentType = "text/event-stream";
            await write(call.Context.Response, ending.Token).ConfigureAwait(false);
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

    public static async Task SendAsync(HttpResponse response, string text, CancellationToken cancellationToken)
    {
        await response.WriteAsync(text, cancellationToken).ConfigureAwait(false);
        await response.Body.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
