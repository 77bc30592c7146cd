using System.Security.Cryptography;
using Mqtt5.HttpHook.Observability;

namespace Mqtt5.HttpHook.Requests;

// Asks one URL, and only what is neither known nor being asked.
internal sealed class HookQuestions(
    HookRequests requests, HookSubject subject, Uri url, MqttHttpHookOptions options, Func<TimeProvider> clock)
{
    private readonly Lock gate = new();
    private readonly Dictionary<QuestionKey, Task<HookAnswer?>> underWay = [];
    private readonly AnswerCache allowed = new(options.CachedAnswers, options.AllowedCacheTime);
    private readonly AnswerCache denied = new(options.CachedAnswers, options.DeniedCacheTime);

    // The answer, or null if there is none in time; it never fails. The question is cleared when it is not needed any more.
    // Others may wait for the same answer, so a caller who gives up leaves it under way.
    public Task<HookAnswer?> AskAsync(byte[] question)
    {
        var key = QuestionKey.Of(question);
        var time = clock();

        lock (gate)
        {
            if (allowed.Find(key, time) is { } yes)
                return Known(yes, question);

            if (denied.Find(key, time) is { } no)
                return Known(no, question);

            if (underWay.TryGetValue(key, out var asked))
            {
                CryptographicOperations.ZeroMemory(question);
                return asked;
            }

            // Elsewhere, so that its end finds it in the table.
            var asking = Task.Run(() => SendAsync(key, question));
            underWay.Add(key, asking);
            return asking;
        }
    }

    private Task<HookAnswer?> Known(HookAnswer answer, byte[] question)
    {
        CryptographicOperations.ZeroMemory(question);
        HookTelemetry.Cached(subject);
        return Task.FromResult<HookAnswer?>(answer);
    }

    private async Task<HookAnswer?> SendAsync(QuestionKey key, byte[] question)
    {
        HookAnswer? answer = null;

        try
        {
            answer = await requests.PostAsync(subject, url, question).ConfigureAwait(false);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(question);

            lock (gate)
            {
                underWay.Remove(key);

                if (answer is not null)
                    (answer.IsAllowed ? allowed : denied).Add(key, answer, clock());
            }
        }

        return answer;
    }
}
