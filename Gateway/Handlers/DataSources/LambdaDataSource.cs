using Fanfare.Gateway.Lambda;

namespace Fanfare.Gateway.Handlers.DataSources;

/// <summary><c>AWS_LAMBDA</c>: calls a function, wherever <see cref="LambdaOptions"/> says it is.</summary>
internal sealed class LambdaDataSource(LambdaClient client, string function) : IDataSource
{
    private const string Unhandled = "Lambda:Unhandled";
    private const string IllegalArgument = "Lambda:IllegalArgument";

    // What a function gets that is called without an event.
    private static readonly byte[] s_noPayload = "{}"u8.ToArray();

    /// <inheritdoc/>
    public async ValueTask<DataSourceAnswer> CallAsync(DataSourceCall call, CancellationToken cancellationToken)
    {
        var request = RequestReader.Create(call.Request);
        request.GetWord("operation", "Invoke");
        var type = request.FindWord("invocationType", "RequestResponse", "Event") == "Event"
            ? LambdaInvocationType.Event
            : LambdaInvocationType.RequestResponse;
        var payload = request.Find("payload") is { } value ? JsonValues.GetBytes(value) : s_noPayload;
        var result = await client.InvokeAsync(
            new LambdaInvocation(function, payload, call.Timeout) { Type = type }, cancellationToken);
        return result.Failure is { } failure ? Describe(failure) : DataSourceAnswer.Result(result.Payload);
    }

    private static DataSourceAnswer Describe(LambdaFailure failure) => failure.Kind switch
    {
        LambdaFailureKind.FunctionError when IsTimeout(failure) => DataSourceAnswer.Failed(
            "Lambda:ExecutionTimeoutException", "Execution timed out.", failure.ErrorType),
        LambdaFailureKind.FunctionError => DataSourceAnswer.Failed(
            Unhandled, failure.ErrorMessage ?? "The function failed.", failure.ErrorType),
        LambdaFailureKind.Throttled or LambdaFailureKind.ServiceError => DataSourceAnswer.Failed(
            IllegalArgument, failure.ErrorMessage ?? "The function could not be called.", failure.ErrorType),
        LambdaFailureKind.RequestTooLarge => DataSourceAnswer.Failed(IllegalArgument, "The payload is too large."),
        LambdaFailureKind.TimedOut => Faulted(DataSourceFault.TimedOut, "Lambda:ExecutionTimeoutException", "Execution timed out."),
        LambdaFailureKind.Dropped => Faulted(DataSourceFault.Overloaded, IllegalArgument, "Too many calls wait already."),
        LambdaFailureKind.Unreachable => Faulted(DataSourceFault.Unreachable, Unhandled, "The function cannot be reached."),
        LambdaFailureKind.Disconnected => Faulted(DataSourceFault.Disconnected, Unhandled, "The connection to the function broke."),
        LambdaFailureKind.ResponseTooLarge => Faulted(DataSourceFault.ResponseTooLarge, Unhandled, "The function's answer is too large."),
        LambdaFailureKind.MalformedResponse =>
            Faulted(DataSourceFault.MalformedResponse, Unhandled, "The function's answer is not JSON."),
        _ => Faulted(DataSourceFault.Unsupported, "UnsupportedDataSource", "The function has no address in the configuration."),
    };

    private static DataSourceAnswer Faulted(DataSourceFault fault, string type, string message) =>
        DataSourceAnswer.Faulted(fault, new DataSourceError(type, message));

    // Older versions of the service give no type, and put a time and a request id in front of the text.
    private static bool IsTimeout(LambdaFailure failure) =>
        failure.ErrorType == "Sandbox.Timedout"
        || (failure.ErrorType is null && failure.ErrorMessage?.Contains("Task timed out after ", StringComparison.Ordinal) == true);
}
